"""A classify job: every setting of one feature source, each a folder of results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from threadpoolctl import threadpool_limits

from saefari.classify.classes import dropped_warning
from saefari.classify.feature_sources import FeatureSet, code_features, hidden_features, pixel_features, term_features
from saefari.classify.fit import (
    FittedClassifier,
    fit_decision_tree,
    fit_linear_probe,
    fit_majority,
    make_problem,
)
from saefari.classify.job import CellFailure, ClassifyJob, JobOutcome, stored_outcome
from saefari.classify.result_files import discard_results, write_results
from saefari.classify.settings import Setting
from saefari.classify.task import Task, load_task
from saefari.errors import explain_failure


def run_classify_job(job: ClassifyJob) -> JobOutcome:
    """Fit and write every setting that is not finished; a setting that fails stops no other."""
    outcome, pending = stored_outcome(job)
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
