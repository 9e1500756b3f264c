"""A classify job as data, what it gave, and which of its settings are there already: without a heavy import."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saefari.classify.settings import Setting, Source, settings_of
from saefari.config import ClassificationParams
from saefari.fingerprint import fingerprint
from saefari.store import finished_result

FORMAT = 3
"""Of results.json and the files beside it."""


@dataclass(frozen=True)
class ClassifyJob:
    """One feature source of one dataset; picklable, and safe to run twice.

    model, model_type, dataset, config, split, layer, width: labels for the summary.
    samples, test_samples: folders of the split, and of `test_split` where the dataset has one.
    sample_places: the same folders as results.json names them, '/'-joined below the activations' root.
    features: folder below those that holds codes or hidden states. out: each setting writes a folder below it.
    inputs: fingerprint of everything read; with the settings it decides whether a finished setting is used again.
    caution: why its scores say little, "" where nothing speaks against them; it stands beside them in every table.
    """

    source: Source
    model: str
    model_type: str
    dataset: str
    config: str
    split: str
    layer: int | None
    width: str | None
    samples: Path
    test_samples: Path | None
    sample_places: tuple[str, ...]
    features: str | None
    out: Path
    params: ClassificationParams
    seed: int
    cv_folds: int
    n_bootstrap: int
    tree_depth: int
    inputs: str
    text_field: str = ""
    caution: str = ""

    @property
    def labels(self) -> dict[str, Any]:
        """What the summary's first columns say."""
        names = ("model", "model_type", "dataset", "config", "split", "text_field", "layer", "width", "source")
        return {name: getattr(self, name) for name in names}

    @property
    def sample_folders(self) -> list[Path]:
        return [self.samples] + ([self.test_samples] if self.test_samples else [])

    @property
    def feature_folders(self) -> list[Path]:
        return [folder / (self.features or "") for folder in self.sample_folders]

    @property
    def read_from(self) -> dict[str, Any]:
        """Where the rows and features lie, so that a reader of results.json finds them: JSON-able, without a root."""
        return {"samples": list(self.sample_places), "features": self.features}

    def settings_record(self, setting: Setting) -> dict[str, Any]:
        """Everything that decides a setting's results, JSON-able."""
        return {
            "format": FORMAT,
            **self.labels,
            **setting.record(),
            "class_weight": self.params.class_weight,
            "seed": self.seed,
            "cv_folds": self.cv_folds,
            "n_bootstrap": self.n_bootstrap,
            "tree_depth": self.tree_depth,
            "inputs": self.inputs,
            **({"caution": self.caution} if self.caution else {}),
        }


@dataclass(frozen=True)
class CellFailure:
    """A setting that gave no results, and why."""

    cell: str
    reason: str


@dataclass
class JobOutcome:
    """What a job did. rows: of the summary, also those of settings that were there already (`reused`)."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    failures: list[CellFailure] = field(default_factory=list)
    reused: int = 0


def n_cells(job: ClassifyJob) -> int:
    """How many settings a job has."""
    return len(settings_of(job.source, job.params))


def stored_outcome(job: ClassifyJob) -> tuple[JobOutcome, list[Setting]]:
    """What the finished settings of a job gave, and the settings that are still to be computed."""
    outcome, pending = JobOutcome(), []
    for setting in settings_of(job.source, job.params):
        record = job.settings_record(setting)
        result = finished_result(job.out / setting.folder(job.source), fingerprint(record))
        if result is None:
            pending.append(setting)
        else:
            outcome.rows += result["summary"]
            outcome.warnings += result["warnings"]
            outcome.reused += 1
    return outcome, pending
