"""The directions that an SAE's latents write, read from its folder without torch and never all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from saefari.errors import StoreError

_WEIGHTS = "sae_weights.safetensors"
_DECODER = "W_dec"


def read_decoder_row(folder: Path, latent: int) -> np.ndarray:
    """The direction of one latent, float32 [d_in]. Raises StoreError when it cannot be read."""
    with _decoder(folder) as (d_sae, rows):
        if not 0 <= latent < d_sae:
            raise StoreError(f"{folder / _WEIGHTS} has latents 0 to {d_sae - 1}, not {latent}")
        direction: np.ndarray = rows(latent, latent + 1)[0]
        return direction


def iter_decoder(folder: Path, block: int = 4096) -> Iterator[np.ndarray]:
    """The directions of all latents in order, float32 [up to `block`, d_in] at a time. Raises StoreError."""
    with _decoder(folder) as (d_sae, rows):
        for start in range(0, d_sae, block):
            yield rows(start, min(start + block, d_sae))


@contextmanager
def _decoder(folder: Path) -> Iterator[tuple[int, Callable[[int, int], np.ndarray]]]:
    """(number of latents, the rows from one to another)."""
    from safetensors import SafetensorError, safe_open

    path = folder / _WEIGHTS
    try:
        with safe_open(path, framework="numpy") as file:
            weights = file.get_slice(_DECODER)
            yield weights.get_shape()[0], lambda start, stop: weights[start:stop].astype(np.float32)
    except (OSError, SafetensorError, TypeError, AttributeError) as error:
        raise StoreError(f"{path}: its {_DECODER} cannot be read ({error})") from None
