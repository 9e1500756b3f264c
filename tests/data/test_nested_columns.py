"""Nested columns with dotted names, in JSON, Parquet and folders saved by `datasets`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saefari.config import DatasetSpec
from saefari.data import check_dataset, open_dataset
from saefari.data.columns import column_names, find_keys
from saefari.errors import DataError

Rows = list[dict[str, Any]]


def save_jsonl(place: Path, rows: Rows) -> Path:
    path = place / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def save_parquet(place: Path, rows: Rows) -> Path:
    path = place / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=2)
    return path


def save_dataset(place: Path, rows: Rows) -> Path:
    path = place / "saved"
    datasets.Dataset(pa.Table.from_pylist(rows)).save_to_disk(path)
    return path


SAVERS: dict[str, Callable[[Path, Rows], Path]] = {
    "jsonl": save_jsonl,
    "parquet": save_parquet,
    "saved": save_dataset,
}


@pytest.fixture(params=sorted(SAVERS))
def save(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Rows], Path]:
    """save(rows) writes rows in one of the formats."""
    return lambda rows: SAVERS[request.param](tmp_path, rows)


def spec(name: object, text: str = "message.body", label: str | None = "meta.kind", **keys: object) -> DatasetSpec:
    return DatasetSpec(name=str(name), text_field=text, label_field=label, **keys)


def read(name: object, *names: str, **keys: object) -> list[tuple[str | None, str | None]]:
    dataset = spec(name, *names, **keys)
    assert check_dataset(dataset) == []
    return [(example.text, example.label) for example in open_dataset(dataset, "train").rows()]


def test_every_field_may_be_nested(save):
    rows = [{"message": {"body": f"x{i}", "by": {"name": "ann", "id": i}}, "meta": {"kind": i > 1}} for i in range(4)]
    keys = {"id_field": "message.by.id", "group_field": "message.by.name"}
    dataset = open_dataset(spec(save(rows), **keys), "train")
    found = [(e.text, e.label, e.id, e.group) for e in dataset.rows()]
    assert found == [(f"x{i}", "true" if i > 1 else "false", str(i), "ann") for i in range(4)]
    inside = ("message", "message.body", "message.by", "message.by.name", "message.by.id", "meta", "meta.kind")
    assert dataset.columns == inside
    assert list(dataset.table.values(["message.by.id"], rows=[1, 3])) == [(1,), (3,)]


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.none() | text, min_size=1, max_size=6))
@pytest.mark.parametrize("name", SAVERS)
def test_any_value_round_trips(name, tmp_path_factory, texts):
    rows = [{"message": {"body": body, "language": "en"}} for body in [*texts, "last"]]
    path = SAVERS[name](tmp_path_factory.mktemp("rows"), rows)
    assert [found for found, _ in read(path, "message.body", None)] == [*texts, "last"]


def test_null_object_has_null_values(save):
    rows = [{"message": {"body": "x"}}, {"message": None}, {"message": {"body": None}}]
    assert [found for found, _ in read(save(rows), "message.body", None)] == ["x", None, None]


def test_omitted_key_is_missing(tmp_path):
    path = save_jsonl(tmp_path, [{"message": {"body": "x"}}, {"message": {}}, {}, {"message": {"body": "y"}}])
    assert [found for found, _ in read(path, "message.body", None)] == ["x", None, None, "y"]


def test_column_name_with_a_dot_takes_precedence(save):
    rows = [
        {"message": {"body": "inside"}, "message.body": "outside"},
        {"message": {"body": "in"}, "message.body": None},
    ]
    assert [found for found, _ in read(save(rows), "message.body", None)] == ["outside", None]


def test_nested_key_may_contain_a_dot(save):
    assert read(save([{"a.b": {"c.d": "x", "c": {"d": "y"}}, "k": "z"}]), "a.b.c.d", "k") == [("x", "z")]


def test_value_that_is_not_an_object_is_an_error_with_its_line(tmp_path):
    path = save_jsonl(tmp_path, [{"message": {"body": "x"}}, {"message": "plain"}])
    with pytest.raises(DataError, match=r"rows\.jsonl: line 2: 'message\.body' cannot be read from a str"):
        read(path, "message.body", None)


def test_object_as_text_is_an_error_with_the_nested_name_to_use(save):
    path = save([{"message": {"body": "x"}}])
    with pytest.raises(DataError, match=r"row 0, column 'message': a dict is not a text; give a key in it, .*\.body"):
        read(path, "message", None)


def test_check_lists_nested_columns(save):
    path = save([{"message": {"body": "x"}, "meta": {"kind": "a"}}])
    ((key, message),) = check_dataset(spec(path, "message.bdy"))
    assert key == "text_field"
    assert "columns: message, message.body, meta, meta.kind (did you mean 'message.body'?)" in message


def test_long_list_of_columns_is_cut(tmp_path):
    path = save_jsonl(tmp_path, [{"scores": {f"user{i}": i for i in range(500)}}])
    ((_, message),) = check_dataset(spec(path, label=None))
    assert "and 481 more" in message
    assert len(message) < 1000


def test_duplicate_column_is_an_error(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table([pa.array(["x"]), pa.array(["y"])], names=["body", "body"]), path)
    ((key, message),) = check_dataset(spec(path, "body", None))
    assert (key, "duplicate column 'body'" in message) == ("name", True)


names = st.text("ab.", min_size=1, max_size=4)
trees = st.recursive(st.just({}), lambda inner: st.dictionaries(names, inner, max_size=3), max_leaves=8)


@given(tree=trees)
def test_every_listed_name_is_found(tree):
    for name in column_names(tree):
        keys = find_keys(tree, name)
        assert keys is not None
        assert ".".join(keys) == name
        inside = tree
        for key in keys:
            inside = inside[key]
    assert find_keys(tree, "no.such") is None
