"""One token of a sample: its text, and the latents that are strongest there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from app.data.samples.rows import Sample

if TYPE_CHECKING:
    from scipy import sparse


def token_text(sample: Sample, position: int) -> str:
    """Its characters without white space around them; "" where it has none of its own, as special tokens have."""
    start, stop = sample.spans[position].tolist()
    return (sample.text or "")[start:stop].strip()


def strongest_latents(codes: sparse.csr_array, position: int) -> tuple[np.ndarray, np.ndarray]:
    """(latents int [m], their activations [m]) of all that are active at a position, the strongest first.

    codes: [n_positions, d_sae]. Of latents that are equally strong the lower number comes first.
    """
    own = slice(codes.indptr[position], codes.indptr[position + 1])
    latents, activations = codes.indices[own], codes.data[own]
    order = np.lexsort((latents, -activations))
    return latents[order], activations[order]
