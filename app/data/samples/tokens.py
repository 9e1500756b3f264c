"""One token of a sample: its text, and the latents that are strongest there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from app.data.images.positions import position_name
from app.data.samples.rows import Sample

if TYPE_CHECKING:
    from scipy import sparse


def token_text(sample: Sample, position: int) -> str:
    """What it is called: its characters without white space around them, or a patch's place in the image.

    "" where a text's token has no characters of its own, as special tokens have.
    """
    start, stop = sample.spans[position].tolist()
    return position_name(sample.text, (start, stop), sample.picture, position)


def strongest_latents(codes: sparse.csr_array, position: int) -> tuple[np.ndarray, np.ndarray]:
    """(latents int [m], their activations [m]) of all that are active at a position, the strongest first.

    codes: [n_positions, d_sae]. Of latents that are equally strong the lower number comes first.
    """
    own = slice(codes.indptr[position], codes.indptr[position + 1])
    latents, activations = codes.indices[own], codes.data[own]
    order = np.lexsort((latents, -activations))
    return latents[order], activations[order]
