"""Run a classify job: fit every setting of one feature source and write a folder of results for each."""

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
from saefari.classify.job import ClassifyJob, JobOutcome, SettingFailure, stored_outcome
from saefari.classify.result_files import discard_results, write_results
from saefari.classify.settings import Setting
from saefari.classify.task import Task, load_task
from saefari.errors import explain_failure


def run_classify_job(job: ClassifyJob) -> JobOutcome:
    """Fit and write every setting that is not finished; if one fails, the others still run."""
    outcome, pending = stored_outcome(job)
    if pending:
        # One thread: the order of summation, and with it the last digits, must not depend on the machine.
        with threadpool_limits(1):
            _run_settings(job, pending, outcome)
    return outcome


def _run_settings(job: ClassifyJob, settings: Sequence[Setting], outcome: JobOutcome) -> None:
    try:
        for setting in settings:
            discard_results(job.out / setting.folder(job.source))
        task = load_task(job.inputs.sample_folders, job.settings.cv_folds, job.settings.seed)
        warnings = _warnings(job, task)
        features = list(_features(job, settings, task))
    except Exception as error:
        outcome.failures.append(SettingFailure(_title(job), explain_failure(error)))
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
                job.locations,
                warnings,
            )
            outcome.rows += result["summary"]
        except Exception as error:
            outcome.failures.append(SettingFailure(_title(job, setting), explain_failure(error)))


def _features(
    job: ClassifyJob, settings: Sequence[Setting], task: Task
) -> Iterator[tuple[Setting, Callable[[], list[FeatureSet]]]]:
    """Yield each setting with a function that builds its alternative feature sets.

    Cross-validation chooses one for the linear probe; trees use the first. The majority baseline has none.
    """
    if job.source in ("sae", "random_sae"):
        for setting, build in code_features(job.inputs.feature_folders, settings, task):
            yield setting, lambda build=build: [build()]  # type: ignore[misc]
        return
    for setting in settings:
        if job.source == "hidden":
            yield setting, lambda how=setting.pooling: [hidden_features(job.inputs.feature_folders, how, task)]  # type: ignore[misc]
        elif job.source == "pixels":
            yield setting, lambda: [pixel_features(job.inputs.sample_folders, task)]
        else:
            yield setting, lambda: list(term_features(task).values()) if job.source == "tfidf" else []


def _fit(job: ClassifyJob, build: Callable[[], list[FeatureSet]], task: Task) -> list[FittedClassifier]:
    choices = [(one, make_problem(one, task, job.params.class_weight, job.settings.seed)) for one in build()]
    if not choices:
        return [fit_majority(task)]
    return [
        fit_linear_probe(choices, task),
        fit_decision_tree(*choices[0], task, job.settings.tree_depth),
    ]


def _warnings(job: ClassifyJob, task: Task) -> list[str]:
    cautions = [f"{_title(job)}: {job.caution}"] if job.caution else []
    where = "/".join(filter(None, [job.labels.dataset, job.labels.config, job.labels.split]))
    warning = dropped_warning(where, task.dropped, task.n_dropped)
    return [*cautions, warning] if warning else cautions


def _title(job: ClassifyJob, setting: Setting | None = None) -> str:
    """Return the name of a job, or of one of its settings, for messages."""
    labels = job.labels
    layer = "" if labels.layer is None else f"layer {labels.layer}"
    parts = [labels.model, labels.dataset, labels.config, layer, labels.width or "", job.source]
    return " ".join([*filter(None, parts), setting.folder(job.source) if setting else ""]).strip()
