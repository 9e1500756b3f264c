"""Evaluate classifiers of one run on the features of another; nothing is fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from saefari.classify.alignment import quoted_list
from saefari.classify.confusion import confusion, macro_f1
from saefari.classify.decisions import load_classifier
from saefari.classify.estimator import save_estimator
from saefari.classify.feature_sources import check_rows, pool_folders
from saefari.classify.features import binarize
from saefari.classify.job import FORMAT
from saefari.classify.metrics import evaluate
from saefari.classify.result_files import discard_results, predictions_table, summary_row
from saefari.classify.settings import Setting, Source
from saefari.classify.transfer_rows import Rows, TestedRows, TrainingRows
from saefari.errors import ConflictError, StoreError
from saefari.fingerprint import fingerprint
from saefari.provenance import library_versions
from saefari.store import (
    finished_result,
    read_pooled_hidden,
    read_result,
    read_samples_record,
    write_json,
    write_parquet,
)
from saefari.store.layout import PREDICTIONS, RESULTS
from saefari.store.manifest import differences

_CLASSIFIER_KEYS = ("n_features", "chosen", "candidates", "top_features", "nodes")
"""Keys of a classifier that do not depend on the test rows."""


@dataclass(frozen=True)
class TransferJob:
    """Every setting of one trained feature source, evaluated on one stored split of another run. Idempotent.

    probes: folders of the training run's settings. trained_on, tested_on: result folders of both feature sources
    below their classifications. labels: first columns of the summary, of the tested run. samples: the stored split;
    sample_place: the same below the activations. features: folder of its codes or hidden states below samples.
    inputs: fingerprint of these. class_of_label: label -> class of the training run, None = left out. out: each
    setting writes a folder below it.
    """

    source: Source
    probes: tuple[Path, ...]
    trained_on: str
    tested_on: str
    labels: Mapping[str, Any]
    samples: Path
    sample_place: str
    features: str | None
    inputs: str
    which: Rows
    class_of_label: Mapping[str, str | None]
    tested: TestedRows
    training: TrainingRows
    out: Path

    @cached_property
    def trained(self) -> dict[Path, dict[str, Any]]:
        """results.json of each setting of the training run."""
        return {folder: read_result(folder) for folder in self.probes}

    def settings_record(self, probe: Path) -> dict[str, Any]:
        """Everything that determines a setting's results, JSON-able."""
        settings = self.trained[probe]["settings"]
        caution = settings.get("caution") or self.labels.get("caution")
        renamed = {label: name for label, name in self.class_of_label.items() if label != name}
        return {
            "format": FORMAT,
            **self.labels,
            **{name: settings[name] for name in ("pooling", "top_n", "binarize", "select_k", "seed", "n_bootstrap")},
            "trained_on": self.trained_on,
            "trained_fingerprint": self.trained[probe]["fingerprint"],
            "rows": self.which,
            "class_map": renamed,
            "inputs": self.inputs,
            **({"caution": caution} if caution else {}),
        }


@dataclass(frozen=True)
class TransferResult:
    """One setting's folder and the content of its results.json; reused: from an earlier transfer."""

    folder: Path
    result: dict[str, Any]
    reused: bool


def run_transfer(job: TransferJob, overwrite: bool) -> list[TransferResult]:
    """Evaluate and write every setting that is not finished.

    Raises ConflictError if a folder holds a transfer with other settings and `overwrite` is false, StoreError if
    features or estimators cannot be read.
    """
    found = {
        probe: finished_result(job.out / probe.name, fingerprint(job.settings_record(probe))) for probe in job.probes
    }
    pending = [probe for probe, result in found.items() if result is None]
    if not overwrite:
        _refuse_conflicts(job, pending)
    if pending:
        with threadpool_limits(1):  # the order of summation must not depend on the machine
            features = _features(job, [_setting(job, probe) for probe in pending])
            found |= {probe: _transfer(job, probe, features) for probe in pending}
    return [
        TransferResult(job.out / probe.name, result, probe not in pending)
        for probe, result in found.items()
        if result is not None
    ]


def _refuse_conflicts(job: TransferJob, pending: Sequence[Path]) -> None:
    lines = []
    for probe in pending:
        folder = job.out / probe.name
        if (folder / RESULTS).exists():
            changed = differences(read_result(folder).get("settings", {}), job.settings_record(probe))
            lines.append(f"{folder} was written with other settings (stored -> wanted): {'; '.join(changed)}")
    if lines:
        raise ConflictError("\n".join([*lines, "  Choose another --output-dir, or add --overwrite to replace these."]))


def _setting(job: TransferJob, probe: Path) -> Setting:
    settings = job.trained[probe]["settings"]
    return Setting(settings["pooling"], settings["top_n"], settings["binarize"], settings["select_k"])


def _features(job: TransferJob, settings: Sequence[Setting]) -> Callable[[Setting], Any]:
    """Return a function: setting -> its estimator's input for the tested rows; codes are read once for all settings.

    Raises StoreError if the features do not belong to the samples.
    """
    rows = job.tested
    if job.features is None:
        return lambda _: rows.texts if job.source == "tfidf" else np.zeros((len(rows.places), 1))
    folder, record = job.samples / job.features, read_samples_record(job.samples)
    if record is None:
        raise StoreError(f"{job.samples}: the samples are missing or damaged: run the extraction again")
    read: dict[tuple[str, int], Any]
    if job.source == "hidden":
        read = {(setting.pooling, 0): read_pooled_hidden(folder, setting.pooling) for setting in settings}
    else:
        read = pool_folders([folder], settings)
    for matrix in read.values():
        check_rows([folder], matrix.shape[0], record["n_rows"], [record["sha256"]])

    def rows_of(setting: Setting) -> Any:
        matrix = read[setting.pooling, setting.top_n or 0][rows.places]
        return matrix if setting.binarize is None else binarize(matrix, setting.binarize)

    return rows_of


def _transfer(job: TransferJob, probe: Path, features: Callable[[Setting], Any]) -> dict[str, Any]:
    """Evaluate and write one setting: copies of its estimators, predictions and, last, results.json."""
    folder, trained, tested = job.out / probe.name, job.trained[probe], job.tested
    settings = job.settings_record(probe)
    classes: list[str] = trained["classes"]
    discard_results(folder)
    probabilities, classifiers = {}, {}
    for name, scores in trained["classifiers"].items():
        stored = load_classifier(probe, name)
        probabilities[name] = stored.estimator.predict_proba(features(stored.setting))
        save_estimator(folder / f"{name}.skops", stored.estimator)
        classifiers[name] = evaluate(
            tested.classes, probabilities[name], classes, settings["n_bootstrap"], settings["seed"]
        ) | {key: scores[key] for key in _CLASSIFIER_KEYS if key in scores}
    write_parquet(
        folder / PREDICTIONS, predictions_table(probabilities, classes, tested.row, tested.id, tested.classes)
    )
    rows = [
        summary_row(name, scores, trained["n_train"], len(tested.row), settings) for name, scores in classifiers.items()
    ]
    result = {
        "fingerprint": fingerprint(settings),
        "settings": settings,
        "samples": [job.sample_place],
        "features": job.features,
        "classes": classes,
        "n_train": trained["n_train"],
        "n_test": len(tested.row),
        "dropped_classes": {},
        "warnings": _warnings(job, classes),
        "classifiers": classifiers,
        "transfer": _transfer_record(job, trained),
        "summary": [row | {"trained_on": job.trained_on} for row in rows],
        "libraries": library_versions("numpy", "scipy", "scikit-learn"),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    write_json(folder / RESULTS, result)
    return result


def _transfer_record(job: TransferJob, trained: Mapping[str, Any]) -> dict[str, Any]:
    """Origin of the classifiers, their in-domain scores, and the score of their majority class on the tested rows."""
    classes: list[str] = trained["classes"]
    guess = np.full_like(job.tested.classes, classes.index(job.training.majority))
    return {
        "trained_on": job.trained_on,
        "tested_on": job.tested_on,
        "in_domain": {
            name: {key: scores[key] for key in ("macro_f1", "macro_f1_interval")}
            for name, scores in trained["classifiers"].items()
        },
        "majority": {
            "class": job.training.majority,
            "macro_f1": float(macro_f1(confusion(job.tested.classes, guess, len(classes)))),
        },
        "rows_left_out": {"trained_on": job.tested.trained_on, "unmapped": job.tested.unmapped},
    }


def _warnings(job: TransferJob, classes: Sequence[str]) -> list[str]:
    tested, where = job.tested, f"{job.trained_on} on {job.tested_on}"
    absent = [name for k, name in enumerate(classes) if k not in tested.classes]
    unmapped = [label for label, name in job.class_of_label.items() if name is None]
    warnings = []
    if tested.trained_on:
        warnings.append(f"{where}: {tested.trained_on} rows left out, because the classifiers were trained on them")
    if tested.unmapped:
        warnings.append(f"{where}: {tested.unmapped} rows left out, because {quoted_list(unmapped)} map to null")
    if absent:
        warnings.append(
            f"{where}: no tested row has the class {quoted_list(absent)}; macro-F1 averages over classes that are "
            "true or predicted"
        )
    return warnings
