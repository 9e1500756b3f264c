"""Write the files of one setting: estimators, predictions and, last, results.json, which marks it complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

_LABELS = ("model", "model_type", "dataset", "config", "split", "text_field", "layer", "width", "source")
_SETTING = ("pooling", "top_n", "binarize", "select_k")


def discard_results(folder: Path) -> None:
    """Remove a setting's results.json, so that it cannot describe files of another run."""
    (folder / RESULTS).unlink(missing_ok=True)


def write_results(
    folder: Path,
    fitted: Sequence[FittedClassifier],
    task: Task,
    settings: dict[str, Any],
    locations: dict[str, Any],
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Write one setting's files and return the content of results.json.

    locations: `ClassifyJob.locations`; they do not affect the results, so they are not part of the fingerprint.
    Two runs of one job differ only in the values of `seconds` and `created`.
    """
    classifiers = {}
    for one in fitted:
        scores = evaluate(task.test_classes, one.probabilities, task.names, settings["n_bootstrap"], settings["seed"])
        scores["cross_validation"] = {
            "macro_f1": float(np.mean(one.fold_scores)),
            "folds": one.fold_scores,
            "accuracy": float(np.mean(one.fold_accuracies)),
            "accuracy_folds": one.fold_accuracies,
        }
        classifiers[one.name] = scores | one.details | {"n_features": one.n_features, "seconds": one.seconds}
        save_estimator(folder / f"{one.name}.skops", one.estimator)
    probabilities = {one.name: one.probabilities for one in fitted}
    write_parquet(
        folder / PREDICTIONS,
        predictions_table(probabilities, task.names, task.test_row, task.test_id, task.test_classes),
    )
    result = {
        "fingerprint": fingerprint(settings),
        "settings": settings,
        **locations,
        "classes": task.names,
        "n_train": len(task.train),
        "n_test": len(task.test),
        "dropped_classes": task.dropped,
        "warnings": list(warnings),
        "classifiers": classifiers,
        "summary": [
            summary_row(name, scores, len(task.train), len(task.test), settings) for name, scores in classifiers.items()
        ],
        "libraries": library_versions("numpy", "scipy", "scikit-learn"),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    write_json(folder / RESULTS, result)
    return result


def summary_row(
    name: str, scores: dict[str, Any], n_train: int, n_test: int, settings: dict[str, Any]
) -> dict[str, Any]:
    """Return a classifier's row of summary.csv. scores: its part of results.json; settings: those of the result.

    cv columns are empty for classifiers without cross-validation (trained by another run).
    """
    low, high = scores["macro_f1_interval"]
    return {
        **{key: settings[key] for key in (*_LABELS, *_SETTING)},
        "classifier": name,
        "variant": "",
        "caution": settings.get("caution", ""),
        "macro_f1": scores["macro_f1"],
        "macro_f1_low": low,
        "macro_f1_high": high,
        "macro_precision": scores.get("macro_precision"),
        "macro_recall": scores.get("macro_recall"),
        "accuracy": scores["accuracy"],
        "roc_auc": scores["roc_auc"],
        "cv_macro_f1": scores.get("cross_validation", {}).get("macro_f1"),
        "cv_accuracy": scores.get("cross_validation", {}).get("accuracy"),
        "n_train": n_train,
        "n_test": n_test,
        "n_features": scores["n_features"],
        "seconds": scores.get("seconds"),
    }


def predictions_table(
    probabilities: Mapping[str, np.ndarray],
    classes: Sequence[str],
    rows: np.ndarray,
    ids: Sequence[str],
    truth: np.ndarray,
) -> pa.Table:
    """Return the table of predictions.parquet.

    probabilities: classifier -> [n_rows, K]. truth: int [n_rows], indices into classes.
    """
    names = np.asarray(classes, dtype=object)
    columns: dict[str, Any] = {"row": rows, "id": ids, "label": names[truth]}
    for classifier, of_classes in probabilities.items():
        columns[f"predicted_{classifier}"] = names[of_classes.argmax(axis=1)]
        for k, name in enumerate(classes):
            columns[f"{classifier}:{name}"] = of_classes[:, k].astype(np.float32)
    return pa.table(columns)
