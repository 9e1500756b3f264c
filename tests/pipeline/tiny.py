"""Configurations of runs that take seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from saefari.config import parse_config
from saefari.pipeline.plan.make_plan import make_plan
from saefari.pipeline.plan.plan import Plan

SHORT = {"k": 4, "n_positions": 2048, "batch_size": 256, "buffer_size": 256}
"""`sae_train` of an SAE that trains in a second."""
Raw = dict[str, Any]
"""Content of a configuration file."""


def tiny_settings(root: Path, **more: Any) -> dict[str, Any]:
    """`settings` of a run on one CPU whose output goes below a folder."""
    return {
        "base_save_dir": str(root / "activations"),
        "base_classify_dir": str(root / "classifications"),
        "device": "cpu",
        "n_jobs": 1,
        "cv_folds": 2,
        "n_bootstrap": 100,
        **more,
    }


def plan_of(raw: Raw) -> Plan:
    return make_plan(parse_config(raw))


def classified(root: Path) -> set[tuple[int, str]]:
    """(layer, SAE) of every SAE whose features were classified."""
    summary = pd.read_csv(root / "classifications" / "summary.csv", dtype={"width": str})
    rows = summary[summary.source == "sae"]
    return set(zip(rows.layer.astype(int), rows.width, strict=True))


def samples(root: Path) -> Path:
    """The folder of the only prepared split below a folder."""
    (found,) = root.rglob("samples.parquet")
    return found.parent
