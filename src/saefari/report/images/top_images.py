"""Find the images with the largest activation of each latent in one pass over an SAE's codes.

Shards are read one at a time, and a bounded number of activations is sorted at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from saefari.errors import StoreError
from saefari.report.images.running_top_k import ImageRows, TopImages
from saefari.store import CodesShard, Manifest, iter_codes, iter_samples
from saefari.store.files import read_json
from saefari.store.layout import SAMPLES_RECORD

_MOST_ACTIVATIONS = 1_000_000
"""Maximum number sorted at once, unless a single row has more."""


def find_top_images(folder: Path, training: np.ndarray, k: int) -> TopImages:
    """Return the k images with the largest activation of each latent; an image in several rows counts once.

    folder: of one SAE's codes, below the samples of a split with images. training: bool [n_rows]. Raises StoreError
    if the codes are incomplete, altered or belong to other samples.
    """
    samples = folder.parents[1]
    manifest = Manifest.load(folder)
    if (
        manifest is not None
        and manifest.settings.get("samples") != (read_json(samples / SAMPLES_RECORD) or {})["sha256"]
    ):
        raise _other_samples(folder)
    top = None
    for codes, table in zip(iter_codes(folder), iter_samples(samples, ["pixels", "patch"]), strict=True):
        top = top or TopImages(codes.d_sae, k)
        image_rows = _image_rows(table, codes, training, folder)
        for start, stop in _blocks(codes):
            top.add(*_rows(codes, image_rows, start, stop))
    if top is None:
        raise StoreError(f"{folder} has no shard: run the extraction again")
    return top


def _image_rows(table: pa.Table, codes: CodesShard, training: np.ndarray, folder: Path) -> ImageRows:
    """Return the image data of a shard's rows. Raises StoreError if samples and codes do not belong together."""
    digests = table["pixels"].to_pylist()
    has_image = np.array([digest is not None for digest in digests], dtype=bool)
    patches = table["patch"].combine_chunks()
    listed = pc.fill_null(pc.list_value_length(patches), 0).to_numpy(zero_copy_only=False)
    lengths = np.diff(codes.offsets)
    if len(listed) != codes.n_rows or (has_image & (listed != lengths)).any():
        raise _other_samples(folder)
    cells = np.full(codes.offsets[-1], -1, dtype=np.int32)
    flat = patches.flatten().to_numpy(zero_copy_only=False)
    cells[np.repeat(has_image, lengths)] = flat[np.repeat(has_image, listed)]
    numbers = np.array([int(digest[:16], 16) if digest else 0 for digest in digests], dtype=np.uint64)
    return ImageRows(has_image, numbers, cells, training[codes.start : codes.start + codes.n_rows])


def _blocks(codes: CodesShard) -> Iterator[tuple[int, int]]:
    """Yield ranges of the shard's rows with at most _MOST_ACTIVATIONS, or of one row."""
    before = codes.indptr[codes.offsets]
    start = 0
    while start < codes.n_rows:
        fitting = int(np.searchsorted(before, before[start] + _MOST_ACTIVATIONS, side="right")) - 1
        stop = max(start + 1, fitting)
        yield start, stop
        start = stop


def _rows(codes: CodesShard, image_rows: ImageRows, start: int, stop: int) -> tuple[CodesShard, ImageRows]:
    """Return rows start to stop of a shard."""
    first, last = codes.offsets[[start, stop]]
    indptr = codes.indptr[first : last + 1]
    active, rows = slice(indptr[0], indptr[-1]), slice(start, stop)
    offsets = codes.offsets[start : stop + 1] - first
    part = CodesShard(
        codes.start + start, indptr - indptr[0], codes.indices[active], codes.values[active], offsets, codes.d_sae
    )
    return part, ImageRows(
        image_rows.has_image[rows], image_rows.digests[rows], image_rows.patches[first:last], image_rows.training[rows]
    )


def _other_samples(folder: Path) -> StoreError:
    return StoreError(f"{folder}: its codes were made from other samples: run the extraction again")
