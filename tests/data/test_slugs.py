from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saefari.data import dataset_slug


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("python-docs", "python-docs"),
        ("stanfordnlp/imdb", "stanfordnlp--imdb"),
        ("../shared/data/banking77/train.csv", "banking77--train"),
        ("/abs/tweet_sentiment/english/", "tweet_sentiment--english"),
        ("rows.v2.jsonl", "rows.v2"),
        ("./rows.parquet", "rows"),
        ("mine/train.tsv.GZ", "mine--train"),
    ],
)
def test_known_slugs(name, slug):
    assert dataset_slug(name) == slug


def test_replaced_characters_keep_names_distinct():
    assert len({dataset_slug(name) for name in ("données/é.csv", "données/è.csv", "a b", "a-b", "数据", "資料")}) == 6


@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=200))
def test_any_name_gives_a_safe_folder_name(name):
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,140}", dataset_slug(name))
