"""What can be said about a latent in one breath: its explanation, density and top tokens."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from app.data.codes import CodeSet
from app.data.saes import Sae
from saefari.errors import StoreError
from saefari.store import read_arrays, read_explanation
from saefari.store.layout import MANIFEST


@dataclass(frozen=True)
class LatentNote:
    """explanation: "" where there is none. density: share of positions, None where unknown. tokens: strongest first."""

    explanation: str = ""
    density: float | None = None
    tokens: tuple[str, ...] = ()


def latent_notes(sae: Sae, codes: CodeSet | None, latents: Iterable[int]) -> dict[int, LatentNote]:
    """What is known about each of these latents, density as counted over `codes`."""
    density = None if codes is None else densities(codes)
    found = {}
    for latent in latents:
        explanation = read_explanation(sae.explanations, latent)
        known = density is not None and 0 <= latent < len(density)
        found[latent] = LatentNote(
            "" if explanation is None else explanation.text,
            float(density[latent]) if known and density is not None else None,
        )
    return found


def densities(codes: CodeSet) -> np.ndarray | None:
    """Share of positions at which each latent is active, float64 [d_sae]; None where that was not counted."""
    try:
        changed = (codes.folder / MANIFEST).stat().st_mtime_ns
    except OSError:
        return None
    return _densities(codes.folder, changed)


@lru_cache(maxsize=16)
def _densities(folder: Path, changed: int) -> np.ndarray | None:
    """Counted when the codes were made, so no codes are read; damaged shards are Health's subject."""
    counts, positions = None, 0
    try:
        for _, arrays in read_arrays(folder, "stat_"):
            shard = arrays["stat_counts"].astype(np.float64)
            counts = shard if counts is None else counts + shard
            positions += int(arrays["stat_n_positions"])
    except (StoreError, OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile):
        return None
    return None if counts is None or positions == 0 else counts / positions
