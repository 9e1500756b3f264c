"""Decoder and encoder directions of an SAE, read block by block from its folder without torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from saefari.errors import StoreError

_WEIGHTS = "sae_weights.safetensors"
_DECODER = "W_dec"  # [d_sae, d_in]
_ENCODER = "W_enc"  # [d_in, d_sae]


def read_decoder_row(folder: Path, latent: int) -> np.ndarray:
    """Return the decoder direction of one latent, float32 [d_in]. Raises StoreError if it cannot be read."""
    with _weights(folder, _DECODER) as weights:
        d_sae = weights.get_shape()[0]
        if not 0 <= latent < d_sae:
            raise StoreError(f"{folder / _WEIGHTS} has latents 0 to {d_sae - 1}, not {latent}")
        direction: np.ndarray = weights[latent : latent + 1][0].astype(np.float32)
        return direction


def iter_decoder(folder: Path, block: int = 4096) -> Iterator[np.ndarray]:
    """Yield the decoder directions of all latents in order, as blocks float32 [<= block, d_in]. Raises StoreError."""
    with _weights(folder, _DECODER) as weights:
        d_sae = weights.get_shape()[0]
        for start in range(0, d_sae, block):
            yield weights[start : min(start + block, d_sae)].astype(np.float32)


def iter_encoder(folder: Path, block: int = 4096) -> Iterator[np.ndarray]:
    """Yield the encoder directions of all latents in order, as blocks float32 [<= block, d_in]. Raises StoreError."""
    with _weights(folder, _ENCODER) as weights:
        d_sae = weights.get_shape()[1]
        for start in range(0, d_sae, block):
            yield np.ascontiguousarray(weights[:, start : min(start + block, d_sae)].T, dtype=np.float32)


@contextmanager
def _weights(folder: Path, name: str) -> Iterator[Any]:
    """Open a weight matrix as a slice of the SAE's file."""
    from safetensors import SafetensorError, safe_open

    path = folder / _WEIGHTS
    try:
        with safe_open(path, framework="numpy") as file:
            yield file.get_slice(name)
    except (OSError, SafetensorError, TypeError, AttributeError) as error:
        raise StoreError(f"{path}: {name} cannot be read ({error})") from None
