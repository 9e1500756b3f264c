"""A minimal result in the format of the classification."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from saefari.store import write_json


def summary_row(**changes: Any) -> dict[str, Any]:
    """A row of summary.csv: a linear probe on an SAE's features."""
    row = {
        "model": "m", "model_type": "llm", "dataset": "d", "config": "", "split": "train", "layer": 3, "width": "3k",
        "source": "sae", "pooling": "sum", "top_n": 0, "binarize": None, "select_k": None, "classifier": "linear",
        "macro_f1": 0.5, "macro_f1_low": 0.4, "macro_f1_high": 0.6, "accuracy": 0.5, "roc_auc": 0.7,
        "cv_macro_f1": 0.5, "n_train": 80, "n_test": 20, "n_features": 60, "seconds": 1.0,
    }  # fmt: skip
    return row | changes


def write_result(output: Path, folder: str, row: dict[str, Any] | None = None, **changes: Any) -> Path:
    """results.json below the classifications, with one row; changes: of the record. Returns its folder."""
    place = output / "classifications" / folder
    record = {"classes": ["a", "b"], "classifiers": {"linear": {}}, "settings": {}, "summary": [row or summary_row()]}
    write_json(place / "results.json", record | changes)
    return place
