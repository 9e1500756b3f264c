"""The latents that are strongest at one position."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from saefari.errors import StoreError
from saefari.store.row_access import read_codes_rows

if TYPE_CHECKING:
    from scipy import sparse


def strongest_latents(codes: sparse.csr_array, position: int) -> tuple[np.ndarray, np.ndarray]:
    """(latents int [m], their activations [m]) of all that are active at a position, the strongest first.

    codes: [n_positions, d_sae]. Of latents that are equally strong the lower number comes first.
    """
    own = slice(codes.indptr[position], codes.indptr[position + 1])
    latents, activations = codes.indices[own], codes.data[own]
    order = np.lexsort((latents, -activations))
    return latents[order], activations[order]


def top_latents(folder: Path, row: int, position: int, n: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """(latents int [m], their activations float32 [m]) of the n strongest, or of all where fewer are active.

    folder: that of one SAE's codes, below the split's samples. row: its number in the dataset. position: counted from
    0 among those of the row that count, so it stands in `valid`, `patch` and the spans too.
    Raises StoreError where the row is not stored or has no such position.
    """
    codes = read_codes_rows(folder, [row]).to_csr()
    if not 0 <= position < codes.shape[0]:
        raise StoreError(f"{folder}: row {row} has no position {position}; it has {codes.shape[0]}, counted from 0")
    latents, activations = strongest_latents(codes, position)
    return latents[:n], activations[:n]
