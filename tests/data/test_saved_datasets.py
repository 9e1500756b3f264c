"""Folders written by `datasets.save_to_disk`: splits, class names, images and errors."""

from __future__ import annotations

import shutil
from io import BytesIO
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image

from saefari.config import DatasetSpec
from saefari.data import check_dataset, open_dataset
from saefari.data.images import decode_image
from saefari.errors import DataError

CLASSES = datasets.ClassLabel(names=["bad", "good"])


def spec(name: object, **keys: object) -> DatasetSpec:
    return DatasetSpec(name=str(name), **{"text_field": "body", "label_field": "topic", **keys})


def texts(*bodies: str) -> datasets.Dataset:
    features = datasets.Features({"body": datasets.Value("string"), "topic": CLASSES, "note": {"kind": CLASSES}})
    rows = [{"body": body, "topic": i % 2, "note": {"kind": -1 if i else 1}} for i, body in enumerate(bodies)]
    return datasets.Dataset.from_list(rows, features=features)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """One split, in two files."""
    texts("x", "y", "z").save_to_disk(tmp_path / "saved", num_shards=2)
    return tmp_path / "saved"


@pytest.fixture
def splits(tmp_path: Path) -> Path:
    """Two splits."""
    datasets.DatasetDict(train=texts("x", "y"), test=texts("z")).save_to_disk(tmp_path / "splits")
    return tmp_path / "splits"


def test_rows_and_class_names(saved):
    dataset = open_dataset(spec(saved), "train")
    assert check_dataset(dataset.spec) == []
    assert [(e.row, e.text, e.label) for e in dataset.rows()] == [(0, "x", "bad"), (1, "y", "good"), (2, "z", "bad")]
    assert (dataset.n_rows, dataset.columns) == (3, ("body", "topic", "note", "note.kind"))
    assert list(dataset.table.values(["body", "note.kind"], rows=[0, 2])) == [("x", "good"), ("z", None)]


def test_splits_keep_their_names(splits):
    both = spec(splits, test_split="test")
    assert check_dataset(both) == []
    assert [[e.text for e in open_dataset(both, split).rows()] for split in ("train", "test")] == [["x", "y"], ["z"]]
    assert [e.text for e in open_dataset(spec(splits / "test"), "train").rows()] == ["z"]
    ((key, message),) = check_dataset(spec(splits, test_split="tst"))
    assert key == "test_split"
    assert "split 'tst' does not exist; splits: test, train (did you mean 'test'?)" in message


def test_separately_saved_splits_are_found(tmp_path):
    texts("x").save_to_disk(tmp_path / "english" / "train")
    texts("y").save_to_disk(tmp_path / "english" / "test")
    both = spec(tmp_path, config_name="english", test_split="test")
    assert check_dataset(both) == []
    assert [e.text for e in open_dataset(both, "test").rows()] == ["y"]


def test_split_both_saved_and_in_a_file_is_ambiguous(splits):
    (splits / "train.csv").write_text("body,topic\nx,good\n")
    with pytest.raises(DataError, match=r"split 'train' is ambiguous \(train\.csv, train\)"):
        open_dataset(spec(splits), "train")


def test_dataset_without_splits_has_no_test_split(saved):
    assert [e.text for e in open_dataset(spec(saved, split="dev"), "dev").rows()] == ["x", "y", "z"]
    ((key, message),) = check_dataset(spec(saved, test_split="test"))
    assert key == "test_split"
    assert "'test': " in message
    assert "without splits; give a folder with one file or dataset per split" in message
    ((key, message),) = check_dataset(spec(saved, config_name="english"))
    assert (key, "sub-folders: none" in message) == ("config_name", True)


def test_fingerprint_depends_on_rows_and_classes_but_not_on_the_location(saved, tmp_path):
    def fingerprint(folder: Path) -> str:
        return open_dataset(spec(folder), "train").fingerprint

    shutil.copytree(saved, tmp_path / "copy")
    assert fingerprint(saved) == fingerprint(tmp_path / "copy")
    info = tmp_path / "copy" / "dataset_info.json"
    info.write_text(info.read_text().replace('"good"', '"fine"'))
    assert fingerprint(saved) != fingerprint(tmp_path / "copy")
    texts("x", "y", "Z").save_to_disk(tmp_path / "other", num_shards=2)
    assert fingerprint(saved) != fingerprint(tmp_path / "other")


@pytest.mark.parametrize("damage", ["missing", "cut", "info", "empty"])
def test_damaged_folder_is_an_error_with_its_path(saved, damage):
    rows = sorted(saved.glob("*.arrow"))[-1]
    if damage == "missing":
        rows.unlink()
    elif damage == "cut":
        rows.write_bytes(rows.read_bytes()[:40])
    elif damage == "empty":
        rows.write_bytes(b"")
    else:
        (saved / "dataset_info.json").write_text("{")
    ((key, message),) = check_dataset(spec(saved))
    assert key == "name"
    assert f"{saved}: not a readable dataset written by save_to_disk (" in message
    assert "\n" not in message
    with pytest.raises(DataError, match="save_to_disk"):
        open_dataset(spec(saved), "train")


def test_dataset_without_rows_is_an_error_with_its_path(tmp_path):
    datasets.Dataset.from_dict({"body": [], "topic": []}).save_to_disk(tmp_path / "none")
    ((key, message),) = check_dataset(spec(tmp_path / "none"))
    assert (key, message) == ("name", f"{tmp_path / 'none'}: the saved dataset has no rows")


def test_images_are_returned_without_decoding(tmp_path, monkeypatch):
    content = BytesIO()
    Image.new("RGB", (4, 3), "red").save(content, "PNG")
    Image.new("RGB", (4, 3), "lime").save(tmp_path / "lime.png")
    pictures = [
        {"bytes": content.getvalue(), "path": "cats/red.png"},
        {"bytes": None, "path": str(tmp_path / "lime.png")},
        None,
    ]
    features = datasets.Features({"image": datasets.Image(), "pet": {"photo": datasets.Image(), "kind": CLASSES}})
    rows = [{"image": picture, "pet": {"photo": picture, "kind": 1}} for picture in pictures]
    datasets.Dataset.from_list(rows, features=features).save_to_disk(tmp_path / "pets")
    for field in ("image", "pet.photo"):
        pets = DatasetSpec(name=str(tmp_path / "pets"), image_field=field, label_field="pet.kind")
        assert check_dataset(pets) == []
        with monkeypatch.context() as patch:
            patch.setattr(Image, "open", None)
            dataset = open_dataset(pets, "train")
            examples = list(dataset.rows())
        assert [e.image and e.image.name for e in examples] == ["red.png", "lime.png", None]
        assert [np.asarray(decode_image(e.image))[0, 0].tolist() for e in examples[:2]] == [[255, 0, 0], [0, 255, 0]]
        assert {e.label for e in examples} == {"good"}
        assert [image and image.name for image in dataset.images([1, 0, 2])] == ["lime.png", "red.png", None]
        assert dataset.columns == ("image", "pet", "pet.photo", "pet.kind")
