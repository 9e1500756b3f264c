"""SAEs trained in a run: their folders, quality records and activation densities."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from saefari.errors import StoreError
from saefari.log import logger
from saefari.store.files import read_json
from saefari.store.layout import SAE_DENSITY, SAE_QUALITY
from saefari.store.scan import FoundFile, find_files

CURVES = ("fvu", "l0", "dead", "mse")
"""Metrics recorded during training, in `curves` of quality.json, beside the `positions` trained on."""


@dataclass(frozen=True)
class TrainedSae:
    """SAE trained in a run. model: a folder name. name: called `width` in codes and results.

    record: quality.json. Records of earlier versions lack some keys: read them by `finite_number`, `density_gap` and
    `training_curves`.
    """

    model: str
    layer: int
    name: str
    folder: Path
    record: dict[str, Any]


@dataclass(frozen=True)
class SaeDensity:
    """Activation density of each latent on held-out positions.

    counts: int64 [d_sae], positions at which it is active, of n_positions. log10: float32 [d_sae], log10 of the share;
    -inf for latents that are never active.
    """

    counts: np.ndarray
    n_positions: int
    log10: np.ndarray


def find_trained(saes: Path) -> Iterator[FoundFile]:
    """Yield the quality.json of every SAE below `Layout.saes`, in a fixed order, without unfinished SAEs."""
    for file in find_files(saes, SAE_QUALITY):
        if not any(part.startswith(".") for part in file.relative.split("/")):
            yield file


def read_trained(file: FoundFile) -> TrainedSae:
    """Read the SAE of a quality.json found by `find_trained`. Raises StoreError if it is not one."""
    record = read_json(file.path)
    parts = file.relative.split("/")
    layer = re.fullmatch(r"layer_(\d+)", parts[1]) if len(parts) == 3 else None
    if layer is None or not isinstance(record, dict):
        raise StoreError(
            f"{file.path}: not at <model>/layer_<L>/<name>, or not a record of an SAE; "
            "remove it, or train the SAE again"
        )
    return TrainedSae(parts[0], int(layer[1]), parts[2], file.folder, record)


def iter_trained(saes: Path) -> Iterator[TrainedSae]:
    """Yield every trained SAE below `Layout.saes`, in a fixed order; unreadable ones are logged and skipped."""
    for file in find_trained(saes):
        try:
            yield read_trained(file)
        except StoreError as error:
            logger.warning("%s", error)


def read_density(folder: Path) -> SaeDensity:
    """Read an SAE's density.npz. Raises StoreError if it is missing or damaged."""
    path = folder / SAE_DENSITY
    if not path.exists():
        raise StoreError(f"{path} does not exist: remove the SAE's folder and train it again")
    try:
        with np.load(path, allow_pickle=False) as archive:
            counts, n_positions = archive["counts"].astype(np.int64), int(archive["n_positions"])
            log10 = archive["log10_density"] if "log10_density" in archive else log10_density(counts, n_positions)
        if counts.ndim != 1 or log10.shape != counts.shape:
            raise ValueError(f"counts {counts.shape}, log10_density {log10.shape}")
        return SaeDensity(counts, n_positions, log10.astype(np.float32))
    except Exception as error:  # a damaged NPZ fails in many ways
        raise StoreError(
            f"{path} is damaged ({type(error).__name__}): remove the SAE's folder and train it again"
        ) from None


def finite_number(record: Any, *path: str) -> float | None:
    """Return the finite number at a path of keys; None if it is missing or anything else."""
    for name in path:
        record = record.get(name) if isinstance(record, dict) else None
    if isinstance(record, bool) or not isinstance(record, (int, float)) or not math.isfinite(record):
        return None
    return float(record)


def density_gap(record: Any) -> tuple[float, float] | None:
    """Return (low, high), log10 density: the gap below which latents are ultra-low-density; None if there is none."""
    group = record.get("ultra_low_density") if isinstance(record, dict) else None
    edges = group.get("gap") if isinstance(group, dict) else None
    if not isinstance(edges, list) or len(edges) != 2:
        return None
    low, high = (finite_number({"edge": edge}, "edge") for edge in edges)
    return (low, high) if low is not None and high is not None else None


def training_curves(record: Any) -> dict[str, list[float]] | None:
    """Return `positions` and the recorded CURVES, all of equal length with NaN for missing values.

    None if none was recorded.
    """
    curves = record.get("curves") if isinstance(record, dict) else None
    found = {name: _series(curves.get(name)) for name in ("positions", *CURVES)} if isinstance(curves, dict) else {}
    positions = found.pop("positions", [])
    kept = {name: values for name, values in found.items() if values and len(values) == len(positions)}
    return {"positions": positions, **kept} if kept else None


def _series(values: Any) -> list[float]:
    """Return a list of numbers, with NaN for None; empty for anything else."""
    if not isinstance(values, list) or not all(one is None or isinstance(one, (int, float)) for one in values):
        return []
    return [math.nan if one is None else float(one) for one in values]


def log10_density(counts: np.ndarray, n_positions: int) -> np.ndarray:
    """Return log10 of the share of positions at which each latent is active, float32 [d_sae]; -inf for none."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log10(counts / max(n_positions, 1)), dtype=np.float32)
