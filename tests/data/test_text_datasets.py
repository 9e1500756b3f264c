from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saefari.config import DatasetSpec
from saefari.data import check_dataset, open_dataset
from saefari.errors import DataError

TRICKY = [
    {"body": 'quotes " and, commas', "topic": "a"},
    {"body": "two\nlines\r\nthree", "topic": "b"},
    {"body": "  spaces kept  ", "topic": "NA"},
    {"body": "null", "topic": "nan"},
    {"body": "日本語 🙂 é", "topic": "ü"},
    {"body": "", "topic": "a"},
]


def spec(name: object, **keys: object) -> DatasetSpec:
    return DatasetSpec(name=str(name), **{"text_field": "body", "label_field": "topic", **keys})


def read(name: object, split: str = "train", **keys: object) -> list[tuple[str | None, str | None]]:
    return [(example.text, example.label) for example in open_dataset(spec(name, **keys), split).rows()]


def test_text_and_labels_are_read_as_written(kind, write, tmp_path):
    path = write(tmp_path / f"rows.{kind}", TRICKY)
    dataset = open_dataset(spec(path), "train")
    assert [(e.text, e.label) for e in dataset.rows()] == [(row["body"], row["topic"]) for row in TRICKY]
    assert [e.row for e in dataset.rows()] == list(range(6)) == [int(e.id) for e in dataset.rows()]
    assert dataset.n_rows == 6
    assert dataset.columns == ("body", "topic")


fields = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(fields, fields), min_size=1, max_size=8))
def test_any_text_round_trips(kind, write, tmp_path, rows):
    path = write(tmp_path / f"rows.{kind}", [{"body": body, "topic": topic} for body, topic in rows])
    assert read(path) == [(body, topic if topic.strip() else None) for body, topic in rows]


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (3, "3"),
        (3.0, "3"),
        (2.5, "2.5"),
        (True, "true"),
        (False, "false"),
        (None, None),
        ("", None),
        (" ", None),
    ],
)
@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_labels_of_any_type_become_text(kind, write, tmp_path, value, label):
    assert read(write(tmp_path / f"rows.{kind}", [{"body": "x", "topic": value}])) == [("x", label)]


def test_nan_labels_and_null_texts_are_missing(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"body": ["x", None], "topic": [float("nan"), 1.0]}), path)
    assert read(path) == [("x", None), (None, "1")]


def test_class_names_in_a_parquet_file_are_used(tmp_path):
    features = {"topic": {"names": ["no", "yes"], "_type": "ClassLabel"}, "body": {"_type": "Value"}}
    table = pa.table({"body": ["x", "y", "z"], "topic": [1, 0, -1]})
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "rows.parquet")
    assert read(tmp_path / "rows.parquet") == [("x", "yes"), ("y", "no"), ("z", None)]


def test_ids_and_groups(kind, write, tmp_path):
    path = write(tmp_path / f"rows.{kind}", [{"body": "x", "topic": "a", "key": "k7", "who": "ann"}])
    (example,) = open_dataset(spec(path, id_field="key", group_field="who"), "train").rows()
    assert (example.id, example.group) == ("k7", "ann")


def test_one_column_may_be_used_twice(kind, write, tmp_path):
    path = write(tmp_path / f"rows.{kind}", [{"body": "x", "topic": "a"}])
    (example,) = open_dataset(spec(path, id_field="topic", group_field="topic"), "train").rows()
    assert (example.id, example.group, example.label) == ("a", "a", "a")


@pytest.mark.parametrize("name", ["train.csv", "data/train.csv", "train-00000.csv", "data/train-00000-of-00001.csv"])
def test_folder_contains_splits(name, write, tmp_path):
    write(tmp_path / name, [{"body": "x", "topic": "a"}])
    assert read(tmp_path) == [("x", "a")]


def test_shards_are_read_in_order(write, tmp_path):
    for shard in (2, 0, 1):
        write(tmp_path / f"train-0000{shard}-of-00003.parquet", [{"body": str(shard), "topic": "a"}])
    dataset = open_dataset(spec(tmp_path), "train")
    assert [example.text for example in dataset.rows()] == ["0", "1", "2"]
    assert dataset.n_rows == 3


def test_configuration_is_a_sub_folder(write, tmp_path):
    write(tmp_path / "german" / "train.jsonl", [{"body": "ja", "topic": "a"}])
    assert read(tmp_path, config_name="german") == [("ja", "a")]
    assert check_dataset(spec(tmp_path, config_name="germn"))[0][0] == "config_name"
    assert "german" in check_dataset(spec(tmp_path, config_name="germn"))[0][1]


def test_split_in_two_formats_is_ambiguous(write, tmp_path):
    write(tmp_path / "train.csv", TRICKY)
    write(tmp_path / "train.jsonl", TRICKY)
    with pytest.raises(DataError, match=r"train\.csv, train\.jsonl"):
        open_dataset(spec(tmp_path), "train")


def test_byte_order_mark_is_not_part_of_a_column_name(tmp_path):
    (tmp_path / "rows.csv").write_bytes("\ufeffbody,topic\nx,a\n".encode())
    assert read(tmp_path / "rows.csv") == [("x", "a")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"body,topic\nx,a\n\ny,b,c\n", "line 4: 3 fields, but the header has 2"),
        (b"body,topic\nx\n", "line 2: 1 fields"),
        (b'body,topic\n"x\ny",a\n"z,a\n', "line 4: not valid CSV"),
        (b"body,topic\nx,a\ncaf\xe9,b\n", "line 3: not UTF-8"),
        (b"", "the file is empty"),
    ],
)
def test_damaged_csv_is_an_error_with_the_line(tmp_path, content, message):
    (tmp_path / "rows.csv").write_bytes(content)
    with pytest.raises(DataError, match=rf"rows\.csv: .*{message}"):
        read(tmp_path / "rows.csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"body": "x", "topic": "a"}\n\n{"body": "x"\n', "line 3: not valid JSON"),
        (b'{"body": "x", "topic": "a"}\n[1]\n', "line 2: list instead of an object"),
        (b'{"body": "x", "body": "y"}\n', "line 1: not valid JSON .duplicate key 'body'"),
        (b"[" * 100_000, "line 1: not valid JSON"),
        (b'{"a":' * 100_000, "line 1: not valid JSON"),
        (b'{"body": "x", "topic": "a"}\n{"body": "caf\xe9"}\n', "line 2: not UTF-8"),
        (b"\n", "the file is empty"),
    ],
)
def test_damaged_json_lines_are_an_error_with_the_line(tmp_path, content, message):
    (tmp_path / "rows.jsonl").write_bytes(content)
    with pytest.raises(DataError, match=rf"rows\.jsonl: .*{message}"):
        read(tmp_path / "rows.jsonl")


def test_omitted_json_key_is_missing(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"body": "x"}\n{"body": "y", "topic": "a"}\n')
    assert read(tmp_path / "rows.jsonl") == [("x", None), ("y", "a")]


def test_damaged_parquet_file_is_an_error_with_its_path(write, tmp_path):
    path = write(tmp_path / "rows.parquet", TRICKY)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"rows\.parquet: not a readable Parquet file"):
        open_dataset(spec(path), "train")


def test_list_as_text_is_an_error_with_its_row(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"body": "x", "topic": 1}\n{"body": ["y"], "topic": 1}\n')
    with pytest.raises(DataError, match="row 1, column 'body': a list is not a text"):
        read(tmp_path / "rows.jsonl")


def test_fingerprint_depends_on_the_bytes(kind, write, tmp_path):
    def fingerprint(rows: list[dict[str, str]], name: str) -> str:
        return open_dataset(spec(write(tmp_path / f"{name}.{kind}", rows)), "train").fingerprint

    assert fingerprint(TRICKY, "one") == fingerprint(TRICKY, "other")
    assert fingerprint(TRICKY, "one") != fingerprint(TRICKY[1:], "one")


@pytest.mark.parametrize(
    ("keys", "key", "message"),
    [
        ({"text_field": "boby"}, "text_field", "column 'boby' does not exist; columns: body, topic.*mean 'body'"),
        ({"image_field": "imge"}, "image_field", "column 'imge' does not exist; columns: body, topic"),
        ({"label_field": "label"}, "label_field", "column 'label' does not exist; columns: body, topic"),
        ({"id_field": "key"}, "id_field", "column 'key' does not exist; columns: body, topic"),
        ({"group_field": "who"}, "group_field", "'who'"),
        ({"split": "trian"}, "split", "'trian' does not exist; splits: test, train.*did you mean 'train'"),
        ({"test_split": "dev"}, "test_split", "'dev' does not exist; splits: test, train"),
        ({"test_split": "train"}, "test_split", "also the training split"),
    ],
)
def test_check_reports_key_value_and_remedy(write, tmp_path, keys, key, message):
    write(tmp_path / "train.csv", TRICKY)
    write(tmp_path / "test.csv", TRICKY)
    assert check_dataset(spec(tmp_path)) == []
    ((found, text),) = check_dataset(spec(tmp_path, **keys))
    assert found == key
    assert re.search(message, text)


def test_open_dataset_needs_a_text_or_image_field_and_check_does_not(write, tmp_path):
    write(tmp_path / "train.csv", TRICKY)
    assert check_dataset(spec(tmp_path, text_field="")) == []
    with pytest.raises(DataError, match="text_field or image_field must be set; columns: body, topic"):
        open_dataset(spec(tmp_path, text_field=""), "train")
    (example, *_) = open_dataset(spec(tmp_path, text_field="", image_field="body"), "train").rows()
    assert (example.text, example.image.name, example.label) == (None, TRICKY[0]["body"], "a")


def test_unpaired_surrogate_is_replaced(tmp_path):
    (tmp_path / "rows.jsonl").write_text(r'{"body": "a\ud800b\ud83d\ude42", "topic": "\udfff"}' + "\n")
    assert read(tmp_path / "rows.jsonl") == [("a\ufffdb🙂", "\ufffd")]


def test_all_mistakes_are_reported_together(write, tmp_path):
    write(tmp_path / "train.csv", TRICKY)
    problems = check_dataset(spec(tmp_path, text_field="b", label_field="t", test_split="dev"))
    assert [key for key, _ in problems] == ["text_field", "label_field", "test_split"]


def test_single_file_has_no_test_split(write, tmp_path):
    path = write(tmp_path / "train.csv", TRICKY)
    assert check_dataset(spec(path)) == []
    assert check_dataset(spec(path, test_split="test"))[0][0] == "test_split"


def test_nonexistent_path_is_not_looked_up_on_the_hub(write, tmp_path):
    write(tmp_path / "train.csv", TRICKY)
    ((key, message),) = check_dataset(spec(tmp_path / "trian.csv"))
    assert key == "name"
    assert "did you mean 'train.csv'" in message


def test_unsupported_file_is_an_error(tmp_path):
    (tmp_path / "rows.xlsx").write_bytes(b"PK")
    ((key, message),) = check_dataset(spec(tmp_path / "rows.xlsx"))
    assert key == "name"
    assert ".csv" in message


def test_memory_does_not_grow_with_the_number_of_rows(kind, write, check_streaming, tmp_path):
    check_streaming(lambda rows: spec(write(tmp_path / f"{len(rows)}.{kind}", rows)))


def test_all_of_banking77_is_read(real_data: Path):
    banking = spec(real_data / "banking77" / "train.csv", text_field="text", label_field="category")
    dataset = open_dataset(banking, "train")
    labels = [example.label for example in dataset.rows()]
    assert len(labels) == dataset.n_rows
    assert len(set(labels)) == 77
    assert None not in labels


@pytest.mark.parametrize("language", ["english", "french", "german", "spanish"])
def test_all_tweets_of_a_language_are_read(real_data: Path, language: str):
    tweets = spec(
        real_data / "tweet_sentiment",
        config_name=language,
        test_split="test",
        text_field="text",
        label_field="label",
    )
    assert check_dataset(tweets) == []
    for split in ("train", "test"):
        dataset = open_dataset(tweets, split)
        examples = list(dataset.rows())
        assert len(examples) == dataset.n_rows
        assert len({example.label for example in examples}) == 3
        assert all(example.text for example in examples)
