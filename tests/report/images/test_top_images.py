"""Top images from a stream, against a dense computation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saefari.errors import StoreError
from saefari.report.images import top_images
from saefari.report.images.running_top_k import TopImages
from saefari.report.images.top_images import find_top_images
from saefari.store import Manifest
from tests.store.image_tree import ImageRow, write_images

GRID, D_SAE = (2, 2), 5
Found = list[tuple[int, int, int, float]]


def picture(number: int) -> np.ndarray:
    return np.full((2, 2, 3), number, dtype=np.uint8)


def by_hand(rows: Sequence[ImageRow], latent: int, k: int) -> Found:
    """(place, position, patch, activation) of a latent's top k images, from a dense computation."""
    for in_patches in (True, False):
        entries = [
            (-float(activations[latent]), place, position, patch, row.pixels.tobytes())
            for place, row in enumerate(rows)
            if row.pixels is not None
            for position, (activations, patch) in enumerate(zip(row.activations, row.patch, strict=True))
            if activations[latent] > 0 and (patch >= 0) == in_patches
        ]
        found: dict[bytes, tuple[int, int, int, float]] = {}
        for value, place, position, patch, pixels in sorted(entries):
            found.setdefault(pixels, (place, position, patch, -value))
        if found:
            return list(found.values())[:k]
    return []


def streamed(top: TopImages, latent: int) -> Found:
    return [(peak.place, peak.position, peak.patch, peak.activation) for peak in top.of(latent)]


@st.composite
def image_rows(draw: st.DrawFn) -> list[ImageRow]:
    """Rows with few distinct activations and images, so that ties and repeats are common; some have no image."""
    seed, n_rows = draw(st.integers(0, 2**32 - 1)), draw(st.integers(1, 12))
    generator = np.random.default_rng(seed)
    rows = []
    for _ in range(n_rows):
        n = int(generator.integers(0, 6))
        activations = generator.integers(1, 4, (n, D_SAE)) * (generator.random((n, D_SAE)) < 0.5)
        pixels = picture(int(generator.integers(4))) if generator.random() < 0.8 else None
        part = int(generator.integers(-1, 2))
        rows.append(ImageRow(activations, generator.integers(-1, 4, n).tolist(), pixels=pixels, part=part))
    return rows


@given(rows=image_rows(), k=st.integers(1, 4), shard_rows=st.integers(1, 5), most=st.integers(1, 20))
def test_streaming_equals_a_dense_computation(rows: list[ImageRow], k: int, shard_rows: int, most: int) -> None:
    training = np.array([row.part == 0 for row in rows])
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(top_images, "_MOST_ACTIVATIONS", most)
        top = find_top_images(write_images(Path(folder), rows, GRID, shard_rows), training, k)
    for latent in range(D_SAE):
        assert streamed(top, latent) == by_hand(rows, latent, k), latent
    assert top.n_images == sum(row.pixels is not None for row in rows)
    assert top.n_silent == sum(not by_hand(rows, latent, k) for latent in range(D_SAE))


def test_activity_counts_patches_of_training_rows(tmp_path: Path) -> None:
    rows = [
        ImageRow(np.array([[8.0, 0], [1, 0], [2, 0]]), [-1, 0, 1]),
        ImageRow(np.array([[5.0, 7]]), [0], part=1),
        ImageRow(np.array([[6.0, 6]]), [], pixels=None),
    ]
    top = find_top_images(write_images(tmp_path, rows, GRID), np.array([True, False, True]), 3)
    assert top.activity.tolist() == [1.5, 0]


def test_without_patches_class_tokens_count(tmp_path: Path) -> None:
    rows = [ImageRow(np.array([[float(i), 0]]), [-1], pixels=picture(i)) for i in range(1, 4)]
    top = find_top_images(write_images(tmp_path, rows, GRID), np.ones(3, dtype=bool), 2)
    assert top.activity.tolist() == [2, 0]
    assert streamed(top, 0) == [(2, 0, -1, 3), (1, 0, -1, 2)]
    assert top.of(1) == []


def test_number_of_activations_added_at_once_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    add = TopImages.add

    def counting(self: TopImages, codes: object, pictures: object) -> None:
        """Record the number of activations added at once."""
        taken.append(len(codes.values))  # type: ignore[attr-defined]
        add(self, codes, pictures)  # type: ignore[arg-type]

    monkeypatch.setattr(TopImages, "add", counting)
    monkeypatch.setattr(top_images, "_MOST_ACTIVATIONS", 40)
    rows = [ImageRow(np.ones((4, D_SAE)), range(4), pixels=picture(i)) for i in range(30)]
    top = find_top_images(write_images(tmp_path, rows, GRID, 16), np.ones(30, dtype=bool), 2)
    assert sum(taken) == 30 * 4 * D_SAE
    assert max(taken) == 40
    kept = [array.size for tally in (top._in_patches, top._elsewhere) for array in tally._kept.values()]
    assert set(kept) == {2 * D_SAE}


def test_codes_of_other_samples_are_an_error(tmp_path: Path) -> None:
    def written(name: str, patch: list[int]) -> Path:
        return write_images(tmp_path / name, [ImageRow(np.ones((2, 2)), patch)], GRID)

    with pytest.raises(StoreError, match="other samples"):
        find_top_images(written("shorter", [0]), np.ones(1, dtype=bool), 2)
    folder = written("renamed", [0, 1])
    manifest = Manifest.load(folder)
    assert manifest is not None
    manifest.settings["samples"] = "another"
    manifest.save(folder)
    with pytest.raises(StoreError, match="other samples"):
        find_top_images(folder, np.ones(1, dtype=bool), 2)


def test_incomplete_codes_are_an_error(tmp_path: Path) -> None:
    folder = write_images(tmp_path, [ImageRow(np.ones((1, 2)), [0])] * 3, GRID, shard_rows=2)
    manifest = Manifest.load(folder)
    assert manifest is not None
    manifest.shards.pop()
    manifest.save(folder)
    with pytest.raises(StoreError, match="only part of its rows"):
        find_top_images(folder, np.ones(3, dtype=bool), 2)
