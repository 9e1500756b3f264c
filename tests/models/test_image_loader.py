"""Images that are read again must be those that the stored samples were made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from saefari.config import DatasetSpec
from saefari.data.dataset import open_dataset
from saefari.errors import DataError
from saefari.models.image_loader import ImageLoader, Images
from saefari.models.model_types import ReaderSpec
from saefari.store import ImageRow
from tests.tiny_vision import picture, save_vit

LENGTH = 17
"""Positions of the tiny vision transformer: a class token and 16 patches."""


def rows_of(*lengths: int) -> list[ImageRow]:
    return [ImageRow(row, None, length, np.arange(1, length, dtype=np.int32)) for row, length in enumerate(lengths)]


@pytest.fixture
def images(tmp_path: Path) -> Images:
    """Two images of a folder."""
    for number in range(2):
        (tmp_path / "images" / "a").mkdir(parents=True, exist_ok=True)
        picture(20, 30, seed=number).save(tmp_path / "images" / "a" / f"{number}.png")
    spec = DatasetSpec(name=str(tmp_path / "images"), image_field="image")
    return Images(spec, "train", open_dataset(spec, "train").fingerprint)


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> ImageLoader:
    model = save_vit(tmp_path_factory.mktemp("models") / "vit", "vit")
    return ImageLoader(ReaderSpec("vit", str(model), None, "patches", 512, False), 0)


def test_unchanged_images_are_read_in_the_order_asked_for(images: Images, loader: ImageLoader) -> None:
    first, second = rows_of(LENGTH, LENGTH)
    forth, back = ([row.model_input["pixel_values"] for row in loader.load(images.of(rows))]
                   for rows in ([first, second], [second, first]))  # fmt: skip
    assert (forth[0] == back[1]).all()
    assert (forth[1] == back[0]).all()
    assert not (forth[0] == forth[1]).all()


def test_a_dataset_that_changed_is_refused(images: Images) -> None:
    picture(20, 30, seed=7).save(Path(images.dataset.name) / "a" / "1.png")
    with pytest.raises(DataError, match="--overwrite"):
        list(images.of(rows_of(LENGTH)))


def test_an_image_with_other_positions_than_were_stored_is_refused(images: Images, loader: ImageLoader) -> None:
    with pytest.raises(DataError, match=f"{LENGTH} positions.*{LENGTH - 1}.*--overwrite"):
        list(loader.load(images.of(rows_of(LENGTH, LENGTH - 1))))


def test_an_image_that_is_missing_now_is_refused(loader: ImageLoader) -> None:
    with pytest.raises(DataError, match="--overwrite"):
        list(loader.load((row, (None, None)) for row in rows_of(LENGTH)))
