"""Decoder directions of an SAE, read block by block from its folder without torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from saefari.errors import StoreError

_WEIGHTS = "sae_weights.safetensors"
_DECODER = "W_dec"


def read_decoder_row(folder: Path, latent: int) -> np.ndarray:
    """Return the decoder direction of one latent, float32 [d_in]. Raises StoreError if it cannot be read."""
    with _decoder(folder) as (d_sae, rows):
        if not 0 <= latent < d_sae:
            raise StoreError(f"{folder / _WEIGHTS} has latents 0 to {d_sae - 1}, not {latent}")
        direction: np.ndarray = rows(latent, latent + 1)[0]
        return direction


def iter_decoder(folder: Path, block: int = 4096) -> Iterator[np.ndarray]:
    """Yield the decoder directions of all latents in order, as blocks float32 [<= block, d_in]. Raises StoreError."""
    with _decoder(folder) as (d_sae, rows):
        for start in range(0, d_sae, block):
            yield rows(start, min(start + block, d_sae))


@contextmanager
def _decoder(folder: Path) -> Iterator[tuple[int, Callable[[int, int], np.ndarray]]]:
    """Open the decoder; yield (number of latents, function that reads rows [start, stop))."""
    from safetensors import SafetensorError, safe_open

    path = folder / _WEIGHTS
    try:
        with safe_open(path, framework="numpy") as file:
            weights = file.get_slice(_DECODER)
            yield weights.get_shape()[0], lambda start, stop: weights[start:stop].astype(np.float32)
    except (OSError, SafetensorError, TypeError, AttributeError) as error:
        raise StoreError(f"{path}: {_DECODER} cannot be read ({error})") from None
