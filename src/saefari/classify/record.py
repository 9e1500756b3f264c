"""The files of one setting: estimators, predictions, and last results.json, which says that all of it is there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from saefari.classify.estimator import save_estimator
from saefari.classify.fit import FittedClassifier
from saefari.classify.metrics import evaluate
from saefari.classify.task import Task
from saefari.fingerprint import fingerprint
from saefari.provenance import library_versions
from saefari.store import write_json, write_parquet
from saefari.store.layout import PREDICTIONS, RESULTS

FORMAT = 2
_LABELS = ("model", "model_type", "dataset", "config", "split", "layer", "width", "source")
_SETTING = ("pooling", "top_n", "binarize", "select_k")


def discard_results(folder: Path) -> None:
    """Remove a setting's results.json, so that it can never speak for files of another run."""
    (folder / RESULTS).unlink(missing_ok=True)


def write_results(
    folder: Path,
    fitted: Sequence[FittedClassifier],
    task: Task,
    settings: dict[str, Any],
    read_from: dict[str, Any],
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Write one setting's files and return the content of results.json.

    read_from: `ClassifyJob.read_from`; it says where to look and decides nothing, so it is no part of the fingerprint.
    Two runs differ only in its `seconds` and `created`, wherever those keys stand.
    """
    classifiers = {}
    for one in fitted:
        scores = evaluate(task.test_classes, one.probabilities, task.names, settings["n_bootstrap"], settings["seed"])
        folds = {"cross_validation": {"macro_f1": float(np.mean(one.fold_scores)), "folds": one.fold_scores}}
        classifiers[one.name] = scores | folds | one.details | {"n_features": one.n_features, "seconds": one.seconds}
        save_estimator(folder / f"{one.name}.skops", one.estimator)
    write_parquet(folder / PREDICTIONS, _predictions(fitted, task))
    result = {
        "fingerprint": fingerprint(settings),
        "settings": settings,
        **read_from,
        "classes": task.names,
        "n_train": len(task.train),
        "n_test": len(task.test),
        "dropped_classes": task.dropped,
        "warnings": list(warnings),
        "classifiers": classifiers,
        "summary": [_summary_row(name, scores, task, settings) for name, scores in classifiers.items()],
        "libraries": library_versions("numpy", "scipy", "scikit-learn"),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    write_json(folder / RESULTS, result)
    return result


def _summary_row(name: str, scores: dict[str, Any], task: Task, settings: dict[str, Any]) -> dict[str, Any]:
    low, high = scores["macro_f1_interval"]
    return {
        **{key: settings[key] for key in (*_LABELS, *_SETTING)},
        "classifier": name,
        "macro_f1": scores["macro_f1"],
        "macro_f1_low": low,
        "macro_f1_high": high,
        "accuracy": scores["accuracy"],
        "roc_auc": scores["roc_auc"],
        "cv_macro_f1": scores["cross_validation"]["macro_f1"],
        "n_train": len(task.train),
        "n_test": len(task.test),
        "n_features": scores["n_features"],
        "seconds": scores["seconds"],
    }


def _predictions(fitted: Sequence[FittedClassifier], task: Task) -> pa.Table:
    """row, id, label; per classifier what it predicted, and `<classifier>:<class>`, the probability of each class."""
    names = np.asarray(task.names, dtype=object)
    columns: dict[str, Any] = {"row": task.test_row, "id": task.test_id, "label": names[task.test_classes]}
    for one in fitted:
        columns[f"predicted_{one.name}"] = names[one.probabilities.argmax(axis=1)]
        for k, name in enumerate(task.names):
            columns[f"{one.name}:{name}"] = one.probabilities[:, k].astype(np.float32)
    return pa.table(columns)
