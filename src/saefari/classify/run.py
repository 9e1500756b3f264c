"""A classify job: every setting of one feature source, each a folder of results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from saefari.classify.classes import dropped_warning
from saefari.classify.fit import (
    FittedClassifier,
    fit_decision_tree,
    fit_linear_probe,
    fit_majority,
    make_problem,
)
from saefari.classify.record import FORMAT, discard_results, write_results
from saefari.classify.settings import Setting, Source, settings_of
from saefari.classify.sources import FeatureSet, code_features, hidden_features, pixel_features, term_features
from saefari.classify.task import Task, load_task
from saefari.config import ClassificationParams
from saefari.errors import explain_failure
from saefari.fingerprint import fingerprint
from saefari.store import finished_result


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


def run_classify_job(job: ClassifyJob) -> JobOutcome:
    """Fit and write every setting that is not finished; a setting that fails stops no other."""
    outcome = JobOutcome()
    pending = []
    for setting in settings_of(job.source, job.params):
        record = job.settings_record(setting)
        result = finished_result(job.out / setting.folder(job.source), fingerprint(record))
        if result is None:
            pending.append(setting)
        else:
            outcome.rows += result["summary"]
            outcome.warnings += result["warnings"]
            outcome.reused += 1
    if pending:
        # One thread: sums in another order would give other last digits.
        with threadpool_limits(1):
            _run_settings(job, pending, outcome)
    return outcome


def _run_settings(job: ClassifyJob, settings: Sequence[Setting], outcome: JobOutcome) -> None:
    try:
        for setting in settings:
            discard_results(job.out / setting.folder(job.source))
        task = load_task(job.sample_folders, job.cv_folds, job.seed)
        warnings = _warnings(job, task)
        features = list(_features(job, settings, task))
    except Exception as error:
        outcome.failures.append(CellFailure(_title(job), explain_failure(error)))
        return
    outcome.warnings += warnings
    for setting, build in features:
        try:
            fitted = _fit(job, build, task)
            result = write_results(
                job.out / setting.folder(job.source),
                fitted,
                task,
                job.settings_record(setting),
                job.read_from,
                warnings,
            )
            outcome.rows += result["summary"]
        except Exception as error:
            outcome.failures.append(CellFailure(_title(job, setting), explain_failure(error)))


def _features(
    job: ClassifyJob, settings: Sequence[Setting], task: Task
) -> Iterator[tuple[Setting, Callable[[], list[FeatureSet]]]]:
    """Each setting with a function that builds its features in every way that cross-validation chooses among.

    The first is the one that trees read; none where a classifier reads no features.
    """
    if job.source in ("sae", "random_sae"):
        for setting, build in code_features(job.feature_folders, settings, task):
            yield setting, lambda build=build: [build()]  # type: ignore[misc]
        return
    for setting in settings:
        if job.source == "hidden":
            yield setting, lambda how=setting.pooling: [hidden_features(job.feature_folders, how, task)]  # type: ignore[misc]
        elif job.source == "pixels":
            yield setting, lambda: [pixel_features(job.sample_folders, task)]
        else:
            yield setting, lambda: list(term_features(task).values()) if job.source == "tfidf" else []


def _fit(job: ClassifyJob, build: Callable[[], list[FeatureSet]], task: Task) -> list[FittedClassifier]:
    choices = [(one, make_problem(one, task, job.params.class_weight, job.seed)) for one in build()]
    if not choices:
        return [fit_majority(task)]
    return [
        fit_linear_probe(choices, task),
        fit_decision_tree(*choices[0], task, job.tree_depth),
    ]


def _warnings(job: ClassifyJob, task: Task) -> list[str]:
    cautions = [f"{_title(job)}: {job.caution}"] if job.caution else []
    where = "/".join(filter(None, [job.dataset, job.config, job.split]))
    warning = dropped_warning(where, task.dropped, task.n_dropped)
    return [*cautions, warning] if warning else cautions


def _title(job: ClassifyJob, setting: Setting | None = None) -> str:
    """How messages name a job or one of its settings."""
    layer = "" if job.layer is None else f"layer {job.layer}"
    parts = [job.model, job.dataset, job.config, layer, job.width or "", job.source]
    return " ".join([*filter(None, parts), setting.folder(job.source) if setting else ""]).strip()
