"""Decoding of images: order, worker processes, reuse, and errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saefari.config import DatasetSpec
from saefari.data.dataset import Dataset, open_dataset
from saefari.data.images import pixels_digest
from saefari.data.splits import sample_rows
from saefari.errors import DataError, StoreError
from saefari.train.vision import decoded_images as pictures
from saefari.train.vision.decoded_images import DecodedImages, Decoding, decode, remove_decoded


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An image folder with two classes of twelve images each."""
    root = tmp_path / "photos"
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for i in range(12):
            pixels = np.random.default_rng([len(name) + ord(name[0]), i]).integers(0, 256, (9, 7, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i:02d}.png")
    return root


def dataset_of(folder: Path) -> Dataset:
    return open_dataset(DatasetSpec(name=str(folder), image_field="image"), "train")


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., DecodedImages]:
    """read(dataset, max_rows=None, skip_bad=False, workers=0)"""

    def decoded(
        dataset: Dataset, max_rows: int | None = None, skip_bad: bool = False, workers: int = 0
    ) -> DecodedImages:
        return decode(dataset, max_rows, 3, Decoding(6, tmp_path / "scratch", skip_bad, workers))

    return decoded


def test_every_image_in_order(folder: Path, read: Callable[..., DecodedImages]) -> None:
    found = read(dataset_of(folder))
    files = sorted(folder.rglob("*.png"))
    assert found.column("row") == list(range(24))
    assert found.column("label") == ["cat"] * 12 + ["dog"] * 12
    assert found.views.shape == (24, 6, 6, 3)
    for file, digest, seen in zip(files, found.column("pixels"), found.views, strict=True):
        image = Image.open(file).convert("RGB")
        assert digest == pixels_digest(image)
        assert np.array_equal(seen, np.asarray(image.resize((6, 6), Image.Resampling.BILINEAR)))
    assert found.bad == []


def test_a_sample_of_the_rows(folder: Path, read: Callable[..., DecodedImages]) -> None:
    dataset = dataset_of(folder)
    found, all_images = read(dataset, 10), read(dataset)
    rows = sample_rows(24, 10, 3)
    assert found.column("row") == rows.tolist()
    assert np.array_equal(found.views, all_images.views[rows])


def test_nothing_is_decoded_twice(
    folder: Path, read: Callable[..., DecodedImages], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = dataset_of(folder)
    first = np.array(read(dataset).views)
    monkeypatch.setattr(pictures, "decode_image", lambda _: pytest.fail("decoded again"))
    assert np.array_equal(read(dataset).views, first)


def test_other_images_are_decoded_again(folder: Path, read: Callable[..., DecodedImages]) -> None:
    first = np.array(read(dataset_of(folder)).views)
    Image.new("RGB", (3, 3), "red").save(folder / "cat" / "00.png")
    second = read(dataset_of(folder)).views
    assert not np.array_equal(second[0], first[0])
    assert np.array_equal(second[1:], first[1:])


def test_worker_processes_give_the_same_images(
    folder: Path, read: Callable[..., DecodedImages], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "cat" / "03.png").write_bytes(b"no image")
    alone = read(dataset_of(folder), skip_bad=True)
    views, table = np.array(alone.views), alone.table
    remove_decoded(tmp_path / "scratch")
    monkeypatch.setattr(pictures, "_MIN_ROWS_FOR_WORKERS", 0)
    monkeypatch.setattr(pictures, "_BATCH_SIZE", 5)
    together = read(dataset_of(folder), skip_bad=True, workers=2)
    assert np.array_equal(together.views, views)
    assert together.table.equals(table)


def test_an_unreadable_image_is_an_error_or_is_listed(
    folder: Path, read: Callable[..., DecodedImages], tmp_path: Path
) -> None:
    (folder / "dog" / "05.png").write_bytes((folder / "dog" / "04.png").read_bytes()[:60])
    with pytest.raises(DataError, match=r"dog/05\.png.*on_bad_sample: skip"):
        read(dataset_of(folder))
    assert not list((tmp_path / "scratch").iterdir())
    found = read(dataset_of(folder), skip_bad=True)
    (bad,) = found.bad
    assert bad["row"] == 17
    assert "dog/05.png" in bad["reason"]
    assert found.column("pixels")[17] is None
    with pytest.raises(DataError, match=r"dog/05\.png"):  # images skipped earlier are an error without skip_bad
        read(dataset_of(folder))


def test_a_full_disk_is_an_error_before_decoding(
    folder: Path, read: Callable[..., DecodedImages], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 100}))
    with pytest.raises(StoreError, match=r"need 0\.0 GB .*vision_training\.image_size"):
        read(dataset_of(folder))


def test_remove_decoded_keeps_other_files(folder: Path, read: Callable[..., DecodedImages], tmp_path: Path) -> None:
    read(dataset_of(folder))
    (tmp_path / "scratch" / "mine").touch()
    remove_decoded(tmp_path / "scratch")
    assert [file.name for file in (tmp_path / "scratch").iterdir()] == ["mine"]
    (tmp_path / "scratch" / "mine").unlink()
    remove_decoded(tmp_path / "scratch")
    assert not (tmp_path / "scratch").exists()
