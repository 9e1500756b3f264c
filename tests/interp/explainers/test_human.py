"""Explanations from a person's CSV."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saefari.errors import DataError
from saefari.interp.explainers.human import HumanExplainer, read_human
from saefari.interp.records import Explanation, ExplanationError, LatentExamples


def read(folder: Path, content: str | bytes) -> dict[int, tuple[str, str]]:
    path = folder / "names.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_human(path)


@pytest.mark.parametrize(
    "content",
    [
        'latent,text\n3,"Words, such as feature."\n12,Größe 🙂\n',
        '\ufefftext,Latent,by\r\n"Words,  such as\nfeature.",3,me\r\n\r\nGröße 🙂,12,you\r\n',
    ],
)
def test_a_table(tmp_path: Path, content: str) -> None:
    assert read(tmp_path, content) == {
        3: ("Words, such as feature", "Words, such as feature."),
        12: ("Größe 🙂", "Größe 🙂"),
    }


def test_names_are_optional_cells(tmp_path: Path) -> None:
    found = read(tmp_path, "latent,name,text\n1,colours,Words for colours.\n2,,Words for animals.\n")
    assert found == {1: ("colours", "Words for colours."), 2: ("Words for animals", "Words for animals.")}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("latent,txt\n1,a\n", "the first line has no column text; columns: latent, txt"),
        ("latent,text,latent\n", "the column latent twice"),
        ("latent,text\n1,a\nx,b\n-1,c\n1.0,d\n", "line 3: latent is 'x'"),
        ("latent,text\n\n1,a\n1,b\n", "line 4: latent 1 is there twice"),
        ("latent,text\n1,\n", "line 2: text is empty"),
        ("latent,text\n1,a,b\n", "line 2: more cells than the first line"),
        ("latent,text\n1\n", "line 2: fewer cells"),
        ('latent,text\n1,"a', "line 2: not valid CSV"),
        ("latent,text\n" + "x,y\n" * 30, "and 20 more"),
        (b"latent,text\n1,\xff\n", "cannot be read"),
    ],
)
def test_mistakes_are_shown_with_their_lines(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, content)
    assert message in str(caught.value)


def test_a_file_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_human(tmp_path / "absent.csv")


@given(st.text(max_size=200))
def test_any_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: str) -> None:
    folder = tmp_path_factory.mktemp("csv")
    with suppress(DataError):
        read(folder, ("latent,text\n" + content).encode("utf-8", "surrogatepass"))


def test_the_explainer() -> None:
    explainer = HumanExplainer({3: ("colours", "Words for colours.")})
    latent = LatentExamples(3, (), (), np.zeros(0, np.int8), ())
    assert asyncio.run(explainer.explain(latent)) == Explanation("colours", "Words for colours.", "human")
    with pytest.raises(ExplanationError, match=r"explain.file has no row for latent 4"):
        asyncio.run(explainer.explain(LatentExamples(4, (), (), np.zeros(0, np.int8), ())))
