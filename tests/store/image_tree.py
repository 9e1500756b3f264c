"""Small output tree of images read by a model with patches, written by `saefari.store`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from unittest.mock import patch as patched

import numpy as np
from PIL import Image
from scipy import sparse

from saefari.store import (
    IMAGE_SCHEMA,
    Layout,
    Manifest,
    SamplesWriter,
    codes_arrays,
    codes_folder,
    read_samples_record,
    shard_ranges,
    write_shard,
    write_split,
)

MODEL, DATASET, LAYER, WIDTH = "m--vit", "shapes", 1, "tiny"
FIRST = 100
"""Dataset row number of the first row; the others follow in steps of 10."""


@dataclass
class ImageRow:
    """Row to write. activations: [n_positions, d_sae]. patch: cell per position. pixels: uint8 [h, w, 3] or None."""

    activations: np.ndarray
    patch: Sequence[int]
    label: str | None = "a"
    pixels: np.ndarray | None = field(default_factory=lambda: np.full((8, 8, 3), 120, dtype=np.uint8))
    part: int = 0
    text: str | None = None


def write_images(
    output: Path, rows: Sequence[ImageRow], grid: tuple[int, int], shard_rows: int = 2048, split: str = "train"
) -> Path:
    """Write samples, split and codes of the rows; return the folder of the codes."""
    samples = Layout.below(output).samples(MODEL, DATASET, None, split)
    with patched("saefari.store.samples.SHARD_ROWS", shard_rows), SamplesWriter(samples, {}, IMAGE_SCHEMA) as writer:
        for i, row in enumerate(rows):
            writer.write(_sample(i, row, grid))
    write_split(samples, np.array([row.part for row in rows], dtype=np.int8), {}, [])
    record = read_samples_record(samples)
    assert record is not None
    folder = codes_folder(samples, LAYER, WIDTH)
    manifest = Manifest("codes", {"samples": record["sha256"]}, len(rows))
    for index, (start, stop) in enumerate(shard_ranges(len(rows), shard_rows)):
        matrix = sparse.csr_array(np.vstack([row.activations for row in rows[start:stop]]).astype(np.float32))
        offsets = np.cumsum([0, *(len(row.activations) for row in rows[start:stop])])
        arrays = codes_arrays(matrix.indptr, matrix.indices, matrix.data, offsets, matrix.shape[1])
        manifest.add(write_shard(folder, index, (start, stop), arrays))
    manifest.save(folder)
    return folder


def _sample(i: int, row: ImageRow, grid: tuple[int, int]) -> dict[str, object]:
    n = len(row.activations)
    sample: dict[str, object] = {
        "row": FIRST + 10 * i,
        "id": str(i),
        "text": row.text,
        "label": row.label,
        "group": None,
        "n_tokens": n,
        "input_ids": [],
        "valid": list(range(n)),
        "span_start": [0] * n,
        "span_end": [0] * n,
    }
    if row.pixels is not None:
        encoded = BytesIO()
        Image.fromarray(row.pixels).save(encoded, "PNG")
        sample |= {"image": f"{row.label}/{i}.png", "pixels": sha256(row.pixels.tobytes()).hexdigest()}
        sample |= {"view": encoded.getvalue(), "grid": list(grid), "patch": list(row.patch)}
    return sample
