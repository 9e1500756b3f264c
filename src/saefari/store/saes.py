"""What lies beside the weights of an SAE that was trained in a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from saefari.errors import StoreError

DENSITY = "density.npz"


def write_density(folder: Path, active: np.ndarray, n_positions: int) -> None:
    """active: int64 [d_sae], the positions of `n_positions` at which each latent was active."""
    np.savez(folder / DENSITY, counts=active, n_positions=n_positions)


def read_density(folder: Path) -> tuple[np.ndarray, int]:
    """What `write_density` wrote. Raises StoreError where it is not there or cannot be read."""
    path = folder / DENSITY
    try:
        with np.load(path, allow_pickle=False) as archive:
            return archive["counts"].astype(np.int64), int(archive["n_positions"])
    except Exception as error:  # a damaged NPZ fails in many ways
        raise StoreError(f"{path} is damaged, or holds something else ({type(error).__name__})") from None
