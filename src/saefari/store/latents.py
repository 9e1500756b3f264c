"""Latents with the largest activations at a position."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from saefari.errors import StoreError
from saefari.store.row_access import read_codes_rows

if TYPE_CHECKING:
    from scipy import sparse


def strongest_latents(codes: sparse.csr_array, position: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (latents int [m], activations [m]) of all active latents at a position, sorted by falling activation.

    codes: [n_positions, d_sae]. Ties are ordered by latent index.
    """
    active = slice(codes.indptr[position], codes.indptr[position + 1])
    latents, activations = codes.indices[active], codes.data[active]
    order = np.lexsort((latents, -activations))
    return latents[order], activations[order]


def top_latents(folder: Path, row: int, position: int, n: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Return (latents int [m], activations float32 [m]) of the n strongest active latents; m <= n.

    folder: codes of one SAE, below the split's samples. row: dataset row number. position: 0-based index into the
    row's valid positions, as in `valid`, `patch` and the spans.
    Raises StoreError if the row is not stored or has no such position.
    """
    codes = read_codes_rows(folder, [row]).to_csr()
    if not 0 <= position < codes.shape[0]:
        raise StoreError(f"{folder}: row {row} has no position {position}; it has {codes.shape[0]}, counted from 0")
    latents, activations = strongest_latents(codes, position)
    return latents[:n], activations[:n]
