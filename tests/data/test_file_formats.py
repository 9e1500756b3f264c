"""Every file format, compressed or not, written by pandas, json, pyarrow and datasets."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saefari.config import DatasetSpec
from saefari.data import check_dataset, open_dataset
from saefari.errors import DataError

Rows = list[dict[str, str]]
COMPRESSIONS = {"": None, ".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
TEXTS: dict[str, Callable[[Rows], str]] = {
    ".csv": lambda rows: pd.DataFrame(rows).to_csv(index=False, lineterminator="\r\n"),  # "\n" leaves "\r" unquoted
    ".tsv": lambda rows: pd.DataFrame(rows).to_csv(index=False, sep="\t", quoting=csv.QUOTE_ALL),
    ".jsonl": lambda rows: pd.DataFrame(rows).to_json(orient="records", lines=True),
    ".ndjson": lambda rows: "\r\n".join(map(json.dumps, rows)),
    ".json": lambda rows: json.dumps(rows, ensure_ascii=False),
}
SEPARATED = {
    separator: partial(lambda rows, sep: pd.DataFrame(rows).to_csv(index=False, sep=sep, lineterminator="\r\n"), sep=s)
    for separator, s in {"semicolons": ";", "tabs": "\t", "bars": "|"}.items()
}
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
row = st.builds(lambda body, topic: {"body": body, "topic": topic}, text, text)
table = st.lists(row, min_size=1, max_size=8)


def spec(name: object, **keys: object) -> DatasetSpec:
    return DatasetSpec(name=str(name), **{"text_field": "body", "label_field": "topic", **keys})


def write(path: Path, content: str | bytes) -> Path:
    """Write text, compressed according to the file ending."""
    path.parent.mkdir(exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    with pa.output_stream(str(path), compression=COMPRESSIONS.get(path.suffix)) as file:
        file.write(data)
    return path


def check_rows(path: Path, rows: Rows) -> None:
    dataset = open_dataset(spec(path), "train")
    found = [(example.row, example.text, example.label) for example in dataset.rows()]
    assert found == [(i, row["body"], row["topic"] if row["topic"].strip() else None) for i, row in enumerate(rows)]
    assert dataset.n_rows == len(rows)
    assert dataset.columns == ("body", "topic")
    assert check_dataset(spec(path)) == []


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=table)
@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("ending", TEXTS)
def test_any_text_round_trips(ending, compression, tmp_path, rows):
    check_rows(write(tmp_path / f"rows{ending}{compression}", TEXTS[ending](rows)), rows)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=table)
@pytest.mark.parametrize("separator", SEPARATED)
def test_csv_separator_is_detected(separator, tmp_path, rows):
    check_rows(write(tmp_path / "rows.csv", SEPARATED[separator](rows)), rows)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=table, indent=st.sampled_from([None, 0, 1, 4]), before=st.sampled_from(["", "\n "]))
def test_json_array_is_read_with_any_layout(tmp_path, rows, indent, before):
    check_rows(write(tmp_path / "rows.json", before + json.dumps(rows, indent=indent) + "\n"), rows)


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".tsv.zst", ".jsonl.bz2", ".json", ".ndjson"])
def test_split_files_may_have_any_ending(ending, tmp_path):
    text_ending = "." + ending.split(".")[1]
    for split in ("train", "test-00000-of-00001"):
        write(tmp_path / f"{split}{ending}", TEXTS[text_ending]([{"body": split, "topic": "a"}]))
    both = spec(tmp_path, test_split="test")
    assert check_dataset(both) == []
    assert [e.text for e in open_dataset(both, "test").rows()] == ["test-00000-of-00001"]
    ((key, message),) = check_dataset(spec(tmp_path, split="dev"))
    assert (key, "splits: test, train" in message) == ("split", True)


def test_split_in_a_plain_and_a_compressed_file_is_ambiguous(tmp_path):
    for name in ("train.csv", "train.csv.gz"):
        write(tmp_path / name, "body,topic\nx,a\n")
    with pytest.raises(DataError, match=r"train\.csv, train\.csv\.gz"):
        open_dataset(spec(tmp_path), "train")


@pytest.mark.parametrize("ending", [".csv.gz", ".csv.bz2", ".csv.zst"])
def test_concatenated_compressed_files_are_read(ending, tmp_path):
    parts = [write(tmp_path / f"{i}{ending}", content) for i, content in enumerate(["body,topic\nx,a\n", "y,b\n"])]
    joined = tmp_path / f"rows{ending}"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    check_rows(joined, [{"body": "x", "topic": "a"}, {"body": "y", "topic": "b"}])


@pytest.mark.parametrize(("ending", "kind"), [(".gz", "gzip"), (".bz2", "bz2"), (".zst", "zstd")])
@pytest.mark.parametrize("text_ending", [".csv", ".jsonl", ".json"])
def test_damaged_compression_is_an_error(text_ending, ending, kind, tmp_path):
    rows = [{"body": f"row {i} {hash(str(i))}", "topic": "a"} for i in range(20_000)]
    path = write(tmp_path / f"rows{text_ending}{ending}", TEXTS[text_ending](rows))
    content = path.read_bytes()
    for damaged in (content[:-5], content[: len(content) // 2], TEXTS[text_ending](rows).encode()):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=rf"{re.escape(path.name)}: damaged or not a {kind} file \(.+\)"):
            list(open_dataset(spec(path), "train").rows())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.tsv", b"body\ttopic\nx\ta\ny\tb\tc\n", "line 3: 3 fields, but the header has 2; quote .* tabs"),
        ("rows.csv", b"body;topic\nx;a\ny;b;c\n", "line 3: 3 fields, but the header has 2; quote .* semicolons"),
        ("rows.csv.gz", b"body,topic\nx,a\ny\n", "line 3: 1 fields, but the header has 2"),
        ("rows.csv.gz", b"body,topic\nx,a\ncaf\xe9,b\n", "line 3: not UTF-8"),
        ("rows.json.zst", b'[\n{"body": "x", "topic": "a"},\n{"body": "caf\xe9"}]', "line 3: not UTF-8"),
        ("rows.tsv", b'body\ttopic\n"say" so\ta\n', "line 2: not valid CSV: .*; a field that starts with a quote must"),
        ("rows.csv", b"body,topic,body\nx,a,y\n", "duplicate column 'body'"),
        ("rows.tsv.bz2", b"", "the file is empty"),
        ("rows.json", b"  \n", "the file is empty"),
        ("rows.json", b"[]", "the file is empty"),
        ("rows.json", b'[{"body": "x", "topic": "a"},\n\n 7]', "element 2: int instead of an object"),
        (
            "rows.json",
            b'[{"body": "x", "topic": "a"},\n{"body": "x"\n"topic": 1}]',
            "line 3: not valid JSON .*Expecting",
        ),
        ("rows.json", b'[{"body": "x", "topic": "a"}\n{"body": "x"}]', "line 2: not valid JSON .*',' delimiter"),
        ("rows.json", b'[{"body": "x", "topic": "a"},\n]', "line [12]: not valid JSON"),
        ("rows.json", b'[{"body": "x", "topic": "a"}', "line 1: not valid JSON .*Expecting"),
        ("rows.json", b'[{"body": "x", "topic": "a"},\n{"bo', "line 2: not valid JSON .Unterminated string"),
        ("rows.json", b'[{"body": "x", "topic": "a"}]\n{}', "line 2: not valid JSON .*Extra data"),
        ("rows.json", b'{\n "data": [{"body": "x"}]\n}', "line 1: not valid JSON .* or one array of objects"),
        ("rows.json", b'{"data": [{"body": "x"}]}', "column 'body' does not exist; columns: data"),
        ("rows.jsonl.gz", b'{"body": "x", "topic": "a"}\n{"body": \n', "line 2: not valid JSON"),
    ],
)
def test_invalid_file_is_an_error_with_its_place(name, content, message, tmp_path):
    path = write(tmp_path / name, content)
    with pytest.raises(DataError, match=rf"{re.escape(str(path))}: .*{message}"):
        list(open_dataset(spec(path), "train").rows())


def test_header_alone_is_a_table_without_rows(tmp_path):
    for name, content in (("rows.csv", "body,topic\n"), ("rows.tsv.gz", "body\ttopic")):
        check_rows(write(tmp_path / name, content), [])


@pytest.mark.parametrize("name", ["rows.tsv", "rows.csv"])
def test_byte_order_mark_line_ends_and_quoted_separators(name, tmp_path):
    content = '\ufeffbody\ttopic\r\n"two\r\nlines\tand a tab"\ta,b;c\r\n\r\n"say ""yes"""\tb|d\r\n'
    check_rows(
        write(tmp_path / name, content),
        [{"body": "two\r\nlines\tand a tab", "topic": "a,b;c"}, {"body": 'say "yes"', "topic": "b|d"}],
    )


def test_comma_is_preferred_if_it_fits(tmp_path):
    path = write(tmp_path / "rows.csv", "body,topic\na; b; c,x;y\n")
    check_rows(path, [{"body": "a; b; c", "topic": "x;y"}])
    for length in (1, 100_000):  # three rows of these are longer than the sample
        path = write(tmp_path / "rows.csv", "a|b|body,topic\n" + f"1|2|{'x' * length},y\n" * 3)
        assert open_dataset(spec(path, text_field="topic", label_field=None), "train").columns == ("a|b|body", "topic")
    one_column = write(tmp_path / "one.csv", "body\na;b\nc\n")
    assert [e.text for e in open_dataset(spec(one_column, label_field=None), "train").rows()] == ["a;b", "c"]


def test_separator_is_detected_before_a_row_longer_than_the_sample(tmp_path):
    rows = [{"body": "long, " * 100_000, "topic": "a"}, {"body": "x", "topic": "b"}]
    check_rows(write(tmp_path / "rows.csv", SEPARATED["semicolons"](rows)), rows)


@pytest.mark.parametrize("ending", [".tsv", ".csv.gz", ".jsonl.zst"])
def test_memory_does_not_grow_with_the_number_of_rows(ending, check_streaming, tmp_path):
    text = TEXTS["." + ending.split(".")[1]]
    check_streaming(lambda rows: spec(write(tmp_path / f"{len(rows)}{ending}", text(rows))))


def test_unsupported_file_is_an_error_with_the_supported_endings(tmp_path):
    path = tmp_path / "rows.parquet.gz"
    path.write_bytes(gzip.compress(b"PAR1"))
    ((key, message),) = check_dataset(spec(path))
    assert key == "name"
    assert ".csv, .tsv, .jsonl, .ndjson, .json, optionally followed by .gz, .bz2, .zst" in message


def test_mosaic_name_is_an_error_with_the_path_to_use(tmp_path, monkeypatch):
    """`local/` followed by an absolute or relative path without its ending."""
    path = write(tmp_path / "mine" / "my.tsv.gz", "body\ttopic\nx\ta\n")
    monkeypatch.chdir(tmp_path)
    for name, file in (
        (f"local/{path.parent}/my", str(path)),
        (f"local/{path}", str(path)),
        ("local/mine/my", "mine/my.tsv.gz"),
        (f"local/{tmp_path}/other", f"{tmp_path}/other.csv (which does not exist)"),
        ("local/mine/other.jsonl", "mine/other.jsonl (which does not exist)"),
        ("local/my", "my.csv (which does not exist)"),
    ):
        ((key, message),) = check_dataset(spec(name))
        assert key == "name"
        assert f"'{name}'" in message
        assert message.endswith(f"give the path of the file: {file}")


CASES = {
    "array.json": {},
    "plain.jsonl": {},
    "rows.csv.gz": {},
    "rows.jsonl.gz": {},
    "rows.tsv": {},
    "semicolon.csv": {},
    "saved_dataset": {},
    "saved_dataset_dict": {"test_split": "test"},
    "nested.jsonl": {"text_field": "message.body", "label_field": "meta.kind"},
}


@pytest.mark.parametrize("name", CASES)
def test_user_files_contain_the_same_rows(name, cases):
    """Each file contains the 120 rows of `plain.jsonl`."""
    plain = [json.loads(line) for line in (cases / "data" / "plain.jsonl").read_text().splitlines()]
    keys = {"text_field": "text", "label_field": "label", **CASES[name]}
    dataset = spec(cases / "data" / name, **keys)
    assert check_dataset(dataset) == []
    splits = ["train", *(["test"] if dataset.test_split else [])]
    found = [(e.text, e.label) for split in splits for e in open_dataset(dataset, split).rows()]
    assert sorted(found) == sorted((row["text"], row["label"]) for row in plain)
