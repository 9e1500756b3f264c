"""Views, heat maps, single rows of samples.parquet, and the strongest latents of a position."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from scipy import sparse

from saefari.errors import StoreError
from saefari.store import (
    ImageView,
    cell_box,
    read_heat_map,
    read_sample_rows,
    read_views,
    strongest_latents,
    top_latents,
)
from tests.store.image_tree import FIRST, ImageRow, write_images

GRID = (2, 3)
TILED = [-1, 0, 4, 5, 4]
"""A class token and two tiles that overlap in cell 4; no position covers cells 1, 2 and 3."""


@pytest.fixture(scope="module")
def codes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    activations = np.zeros((5, 4))
    activations[:, 1] = [9, 1, 2, 0, 3]
    activations[2, [0, 2, 3]] = [2, 5, 2]
    pixels = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    text = ImageRow(np.ones((2, 4)), [], pixels=None, text="no image")
    return write_images(tmp_path_factory.mktemp("tree"), [text, ImageRow(activations, TILED, pixels=pixels)], GRID)


def test_heat_map_is_the_maximum_activation_per_cell(codes: Path) -> None:
    view, heat = read_heat_map(codes, FIRST + 10, 1)
    assert heat.dtype == np.float32
    assert heat.tolist() == [[1, 0, 0], [0, 3, 0]]
    assert (view.row, view.name, view.grid, view.patch.tolist()) == (FIRST + 10, "a/1.png", GRID, TILED)
    with Image.open(BytesIO(view.encoded)) as image:
        np.testing.assert_array_equal(np.asarray(image), np.arange(18).reshape(2, 3, 3))


def test_heat_map_keeps_negative_values() -> None:
    view = ImageView(0, "x", b"", GRID, np.array(TILED))
    assert view.heat_map(np.array([9, -1, -2, 0, -3])).tolist() == [[-1, 0, 0], [0, -2, 0]]
    with pytest.raises(ValueError, match="4 activations of 5 positions"):
        view.heat_map(np.zeros(4))


def test_row_without_an_image_has_no_view(codes: Path) -> None:
    samples = codes.parents[1]
    views = read_views(samples, [FIRST + 10, FIRST])
    assert [view and view.row for view in views] == [FIRST + 10, None]
    with pytest.raises(StoreError, match=f"row {FIRST} has no image"):
        read_heat_map(codes, FIRST, 0)


@pytest.mark.parametrize("latent", [-1, 4])
def test_heat_map_of_a_nonexistent_latent_is_an_error(codes: Path, latent: int) -> None:
    with pytest.raises(StoreError, match=f"latents 0 to 3, not {latent}"):
        read_heat_map(codes, FIRST + 10, latent)


@pytest.mark.parametrize(("patch", "grid"), [([6], GRID), ([-2], GRID), ([0], (0, 3)), ([0], (4,))])
def test_patches_outside_the_grid_are_an_error(tmp_path: Path, patch: list[int], grid: tuple[int, int]) -> None:
    codes = write_images(tmp_path, [ImageRow(np.ones((1, 2)), patch)], grid)
    with pytest.raises(StoreError, match=f"patches of row {FIRST} are outside its grid"):
        read_views(codes.parents[1], [FIRST])


def test_codes_of_other_samples_are_an_error(tmp_path: Path) -> None:
    codes = write_images(tmp_path, [ImageRow(np.ones((2, 2)), [0])], GRID)
    with pytest.raises(StoreError, match="made from other samples"):
        read_heat_map(codes, FIRST, 0)


def test_cells_are_numbered_row_by_row() -> None:
    assert cell_box(0, GRID) == (0, 0, 1 / 3, 0.5)
    assert cell_box(5, GRID) == pytest.approx((2 / 3, 0.5, 1, 1))


def test_strongest_latents_are_sorted_and_ties_are_ordered_by_index() -> None:
    codes = sparse.csr_array(np.array([[0, 0, 9.0, 0], [2.0, 5.0, 0, 5.0], [0, 0, 0, 0]]))
    latents, activations = strongest_latents(codes, 1)
    assert latents.tolist() == [1, 3, 0]
    assert activations.tolist() == [5, 5, 2]
    assert [len(part) for part in strongest_latents(codes, 2)] == [0, 0]


def test_top_latents_of_a_stored_position(codes: Path) -> None:
    latents, activations = top_latents(codes, FIRST + 10, 2)
    assert (latents.tolist(), activations.tolist()) == ([2, 0, 1, 3], [5, 2, 2, 2])
    assert top_latents(codes, FIRST + 10, 2, n=2)[0].tolist() == [2, 0]
    assert top_latents(codes, FIRST + 10, 3)[0].tolist() == []
    for position in (-1, 5):
        with pytest.raises(StoreError, match=f"no position {position}; it has 5"):
            top_latents(codes, FIRST + 10, position)


def test_rows_far_apart_in_large_row_groups(tmp_path: Path) -> None:
    """Read more than one batch from several row groups, unordered and with repetitions."""
    rows = [ImageRow(np.ones((1, 2)), [i % 6], pixels=np.full((1, 1, 3), i % 256, np.uint8)) for i in range(700)]
    samples = write_images(tmp_path, rows, GRID, shard_rows=300).parents[1]
    assert pq.ParquetFile(samples / "samples.parquet").num_row_groups == 3
    places = [699, 0, 127, 128, 299, 300, 128, 428]
    views = read_views(samples, [FIRST + 10 * place for place in places])
    assert [view.patch.tolist() for view in views if view] == [[place % 6] for place in places]
    everything = read_sample_rows(samples, [FIRST + 10 * place for place in range(700)], ["row", "label"])
    assert everything["row"].to_pylist() == [FIRST + 10 * place for place in range(700)]
