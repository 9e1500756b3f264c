"""Latents that write nearly the same direction, where the SAE's weights are in the tree."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from saefari.store import iter_decoder, read_decoder_row


@lru_cache(maxsize=256)
def nearest(folder: Path, latent: int, n: int = 10) -> tuple[tuple[int, float], ...]:
    """(latent, decoder cosine) of the n nearest others, nearest first. Raises StoreError without readable weights.

    The decoder is read block by block: that of a wide SAE is larger than the app should hold.
    """
    own = read_decoder_row(folder, latent)
    own = own / max(float(np.linalg.norm(own)), 1e-12)
    cosines = np.concatenate([_cosines(block, own) for block in iter_decoder(folder)])
    cosines[latent] = -np.inf
    order = np.argsort(-cosines, kind="stable")[: min(n, len(cosines) - 1)]
    return tuple((int(i), float(cosines[i])) for i in order)


def _cosines(block: np.ndarray, own: np.ndarray) -> np.ndarray:
    return (block @ own) / np.maximum(np.linalg.norm(block, axis=1), 1e-12)
