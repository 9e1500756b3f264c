"""A stored split of texts or images with codes that the test chooses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch as patched

import numpy as np
from scipy import sparse

from saefari.interp.cache.build import CacheSource
from saefari.store import (
    Manifest,
    SamplesWriter,
    codes_arrays,
    read_samples_record,
    shard_ranges,
    write_shard,
    write_split,
)

WORDS = ["cat", "dog", "sat", "river", "under", "tree"]


def random_codes(n_rows: int, d_sae: int, seed: int = 0, longest: int = 12, density: float = 0.2) -> list[np.ndarray]:
    """Draw codes of rows of 0 to `longest` positions, float32 [n_positions, d_sae]; latent 0 is never active.

    Values are multiples of 1/8, which float16 represents exactly; density falls with the latent's number.
    """
    generator = np.random.default_rng(seed)
    share = density * np.linspace(1.5, 0.1, d_sae)
    rows = []
    for length in generator.integers(0, longest + 1, n_rows):
        active = generator.random((length, d_sae)) < share
        active[:, 0] = False
        rows.append(np.where(active, generator.integers(1, 80, (length, d_sae)) / 8, 0).astype(np.float32))
    return rows


def write_split_with_codes(
    folder: Path,
    rows: Sequence[np.ndarray],
    labels: Sequence[str | None] | None = None,
    parts: Sequence[int] | None = None,
    shard_rows: int = 7,
    facts: dict[str, Any] | None = None,
    first: int = 100,
) -> CacheSource:
    """Write samples and codes; row i is dataset row first + 3 * i, its positions are words joined by two spaces.

    rows: codes of each row, [n_positions, d_sae]. parts: of the split, None = no split.
    """
    with patched("saefari.store.samples.SHARD_ROWS", shard_rows), SamplesWriter(folder, {}) as writer:
        for i, codes in enumerate(rows):
            words = words_of(i, len(codes))
            starts = np.cumsum([1, *(len(word) + 2 for word in words)])[: len(words)]
            writer.write(
                {
                    "row": first + 3 * i,
                    "id": str(i),
                    "text": " " + "  ".join(words) + ".",
                    "label": labels[i] if labels else None,
                    "group": None,
                    "n_tokens": len(words) + 1,
                    "input_ids": list(range(len(words) + 1)),
                    "valid": list(range(1, len(words) + 1)),
                    "span_start": starts.tolist(),
                    "span_end": [int(start) + len(word) for start, word in zip(starts, words, strict=True)],
                }
            )
    if parts is not None:
        write_split(folder, np.asarray(parts, dtype=np.int8), {}, [])
    record = read_samples_record(folder)
    assert record is not None
    codes_folder = folder / "layer_1" / "8"
    manifest = Manifest("codes", {"samples": record["sha256"]}, len(rows), facts or {"weights_sha256": "w"})
    for index, (start, stop) in enumerate(shard_ranges(len(rows), shard_rows)):
        matrix = sparse.csr_array(np.vstack(rows[start:stop]))
        offsets = np.cumsum([0, *(len(codes) for codes in rows[start:stop])])
        arrays = codes_arrays(matrix.indptr, matrix.indices, matrix.data, offsets, matrix.shape[1])
        manifest.add(write_shard(codes_folder, index, (start, stop), arrays))
    manifest.save(codes_folder)
    return CacheSource(folder.name, folder, codes_folder)


def words_of(i: int, n: int) -> list[str]:
    """Return the words of row i."""
    return [WORDS[(i + k) % len(WORDS)] for k in range(n)]
