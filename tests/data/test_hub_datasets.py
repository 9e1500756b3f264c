"""The hub's datasets, from a cache that looks as `datasets` leaves it after a download."""

from __future__ import annotations

from pathlib import Path

import pytest

from saefari.config import DatasetSpec
from saefari.data import check_dataset, open_dataset
from saefari.data.hub import HubUnreachableError
from saefari.errors import DataError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SPEC = DatasetSpec(name="someone/toy", text_field="body", label_field="mood")


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`someone/toy` as if it had been downloaded before."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    features = datasets.Features({"body": datasets.Value("string"), "mood": datasets.ClassLabel(names=["bad", "good"])})
    table = datasets.Dataset.from_dict({"body": ["x", "y", "z"], "mood": [1, 0, -1]}, features=features)
    table.to_parquet(tmp_path / "train.parquet")
    builder = datasets.load_dataset_builder("parquet", data_files={"train": str(tmp_path / "train.parquet")})
    builder.download_and_prepare()
    folder = tmp_path / "cache" / "someone___toy" / "default" / "0.0.0" / COMMIT
    folder.parent.mkdir(parents=True)
    Path(builder.cache_dir).rename(folder)
    (folder / "parquet-train.arrow").rename(folder / "toy-train.arrow")


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
        ({"test_split": "test"}, "test_split", "the splits train"),
        ({"config_name": "german"}, "config_name", "default"),
    ],
)
def test_planning_finds_mistakes_without_the_data(keys, key, word):
    ((found, message),) = check_dataset(SPEC.model_copy(update=keys))
    assert found == key
    assert word in message


@pytest.mark.usefixtures("cached")
def test_an_unknown_split_lists_those_there_are():
    with pytest.raises(DataError, match="no split 'dev'; it has train"):
        open_dataset(SPEC, "dev")


@pytest.mark.usefixtures("cached")
def test_what_cannot_be_reached_is_a_problem_unless_allowed():
    spec = SPEC.model_copy(update={"name": "python-doc"})
    ((key, message),) = check_dataset(spec)
    assert key == "name"
    assert "did you mean 'python-docs'" in message
    assert check_dataset(spec, allow_unreachable=True) == []
    with pytest.raises(HubUnreachableError, match="python-doc"):
        open_dataset(spec, "train")


def test_what_the_hub_does_not_have_is_always_a_problem(monkeypatch):
    import datasets

    def missing(*_: object, **__: object) -> None:
        raise datasets.exceptions.DatasetNotFoundError("Dataset 'someone/toy' doesn't exist on the Hub")

    monkeypatch.setattr(datasets, "load_dataset_builder", missing)
    ((key, message),) = check_dataset(SPEC, allow_unreachable=True)
    assert key == "name"
    assert "doesn't exist" in message
