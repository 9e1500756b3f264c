"""Hub datasets, read from a cache in the state that `datasets` leaves after a download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from saefari.config import DatasetSpec
from saefari.data import check_dataset, open_dataset
from saefari.data.hub import HubUnreachableError
from saefari.data.images import BadImage, decode_image
from saefari.errors import DataError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SPEC = DatasetSpec(name="someone/toy", text_field="body", label_field="mood")
PETS = DatasetSpec(name="someone/pets", image_field="picture", label_field="pet")


def leave_in_cache(name: str, table: Any, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a `datasets.Dataset` into the cache as the downloaded dataset `someone/<name>`."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", place / "cache")
    table.to_parquet(place / "train.parquet")
    builder = datasets.load_dataset_builder("parquet", data_files={"train": str(place / "train.parquet")})
    builder.download_and_prepare()
    folder = place / "cache" / f"someone___{name}" / "default" / "0.0.0" / COMMIT
    folder.parent.mkdir(parents=True)
    Path(builder.cache_dir).rename(folder)
    (folder / "parquet-train.arrow").rename(folder / f"{name}-train.arrow")


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`someone/toy`, with texts."""
    import datasets

    features = datasets.Features({"body": datasets.Value("string"), "mood": datasets.ClassLabel(names=["bad", "good"])})
    table = datasets.Dataset.from_dict({"body": ["x", "y", "z"], "mood": [1, 0, -1]}, features=features)
    leave_in_cache("toy", table, tmp_path, monkeypatch)


@pytest.fixture
def cached_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`someone/pets`, with embedded, linked, missing and broken images; `note` names files that it lacks."""
    import datasets

    Image.new("RGB", (4, 3), "red").save(tmp_path / "red.png")
    red = (tmp_path / "red.png").read_bytes()
    pictures = [
        {"bytes": red, "path": "cats/red.png"},
        {"bytes": None, "path": str(tmp_path / "red.png")},
        {"bytes": red, "path": None},
        None,
        {"bytes": red[:30], "path": "broken.png"},
    ]
    features = datasets.Features(
        {
            "picture": datasets.Image(),
            "pet": datasets.ClassLabel(names=["cat", "dog"]),
            "note": datasets.Value("string"),
        }
    )
    storage = pa.table(
        {"picture": pa.array(pictures, features["picture"].pa_type), "pet": [0, 1, 0, 1, 0], "note": ["cat.png"] * 5}
    )
    leave_in_cache("pets", datasets.Dataset(storage, datasets.DatasetInfo(features=features)), tmp_path, monkeypatch)


@pytest.mark.usefixtures("cached")
def test_class_numbers_become_names_and_the_commit_is_the_fingerprint():
    dataset = open_dataset(SPEC, "train")
    assert [(e.text, e.label) for e in dataset.rows()] == [("x", "good"), ("y", "bad"), ("z", None)]
    assert (dataset.n_rows, dataset.columns, dataset.slug) == (3, ("body", "mood"), "someone--toy")
    assert COMMIT in dataset.fingerprint


@pytest.mark.usefixtures("cached")
def test_a_split_may_be_a_slice():
    dataset = open_dataset(SPEC, "train[1:]")
    assert [(e.row, e.text) for e in dataset.rows()] == [(0, "y"), (1, "z")]
    assert dataset.fingerprint != open_dataset(SPEC, "train").fingerprint
    assert check_dataset(SPEC.model_copy(update={"split": "train[:50%]"})) == []


@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize(
    ("keys", "key", "word"),
    [
        ({"text_field": "bdy"}, "text_field", "did you mean 'body'"),
        ({"split": "trian"}, "split", "did you mean 'train'"),
        ({"test_split": "test"}, "test_split", "splits: train"),
        ({"config_name": "german"}, "config_name", "default"),
    ],
)
def test_check_finds_mistakes_without_the_data(keys, key, word):
    ((found, message),) = check_dataset(SPEC.model_copy(update=keys))
    assert found == key
    assert word in message


@pytest.mark.usefixtures("cached")
def test_unknown_split_lists_the_existing_ones():
    with pytest.raises(DataError, match="split 'dev' does not exist; splits: train"):
        open_dataset(SPEC, "dev")


@pytest.mark.usefixtures("cached")
def test_unreachable_dataset_is_a_problem_unless_allowed():
    spec = SPEC.model_copy(update={"name": "python-doc"})
    ((key, message),) = check_dataset(spec)
    assert key == "name"
    assert "did you mean 'python-docs'" in message
    assert check_dataset(spec, allow_unreachable=True) == []
    with pytest.raises(HubUnreachableError, match="python-doc"):
        open_dataset(spec, "train")


def test_dataset_unknown_to_the_hub_is_always_a_problem(monkeypatch):
    import datasets

    def missing(*_: object, **__: object) -> None:
        raise datasets.exceptions.DatasetNotFoundError("Dataset 'someone/toy' doesn't exist on the Hub")

    monkeypatch.setattr(datasets, "load_dataset_builder", missing)
    ((key, message),) = check_dataset(SPEC, allow_unreachable=True)
    assert key == "name"
    assert "doesn't exist" in message


@pytest.mark.usefixtures("cached_images")
def test_images_are_returned_without_decoding(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Image, "open", None)
        dataset = open_dataset(PETS, "train")
        examples = list(dataset.rows())
        assert COMMIT in dataset.fingerprint
    assert [example.label for example in examples] == ["cat", "dog", "cat", "dog", "cat"]
    assert {example.text for example in examples} == {None}
    names = [example.image and example.image.name for example in examples]
    assert names == ["cats/red.png", "red.png", "row 2", None, "broken.png"]
    for example in examples[:3]:
        assert np.asarray(decode_image(example.image))[0, 0].tolist() == [255, 0, 0]
    with pytest.raises(BadImage, match=r"broken\.png"):
        decode_image(examples[4].image)


@pytest.mark.usefixtures("cached_images")
def test_column_of_file_names_is_not_an_image_column():
    assert check_dataset(PETS) == []
    with pytest.raises(DataError, match=r"column 'note': 'cat\.png' is the name of a file, but the dataset does"):
        next(open_dataset(PETS.model_copy(update={"image_field": "note"}), "train").rows())


@pytest.mark.usefixtures("cached_images")
def test_check_finds_a_missing_image_column():
    ((key, message),) = check_dataset(PETS.model_copy(update={"image_field": "pictures"}))
    assert key == "image_field"
    assert "columns: picture, pet, note (did you mean 'picture'?)" in message
