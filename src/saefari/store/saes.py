"""What lies beside the weights of an SAE that was trained in a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from saefari.errors import StoreError
from saefari.store.layout import SAE_DENSITY


def read_density(folder: Path) -> tuple[np.ndarray, int]:
    """(int64 [d_sae], the positions at which each latent was active; of how many). Raises StoreError without them."""
    path = folder / SAE_DENSITY
    try:
        with np.load(path, allow_pickle=False) as archive:
            return archive["counts"].astype(np.int64), int(archive["n_positions"])
    except Exception as error:  # a damaged NPZ fails in many ways
        raise StoreError(f"{path} is damaged, or holds something else ({type(error).__name__})") from None
