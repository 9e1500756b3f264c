"""Median norm of a layer's hidden states, measured once per training split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from saefari.store.files import read_json, write_json
from saefari.store.layout import norm_file


def read_median_norm(samples: Path, layer: int, settings: dict[str, Any]) -> tuple[bool, float | None]:
    """Return (whether it was measured with these settings, the median or None if there are no valid positions)."""
    record = read_json(norm_file(samples, layer))
    if record is None or record["settings"] != settings:
        return False, None
    return True, record["median"]


def write_median_norm(samples: Path, layer: int, settings: dict[str, Any], median: float | None) -> None:
    """Store the median norm. settings: those that determine the hidden states: model, samples and hook point."""
    write_json(norm_file(samples, layer), {"settings": settings, "median": median})
