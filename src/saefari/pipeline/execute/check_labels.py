"""Check that the rows of a plan can be classified, before models are trained or run on them."""

from __future__ import annotations

from saefari.config import DatasetSpec, Settings
from saefari.errors import DataError, StoreError
from saefari.extract.frozen_rows import rows_wanted
from saefari.pipeline.execute import build_jobs
from saefari.pipeline.execute.dependents import Stage, lost_work, without_rows
from saefari.pipeline.execute.run_report import Report
from saefari.pipeline.plan.plan import Plan


def drop_unclassifiable(plan: Plan, report: Report, remaining: set[Stage]) -> Plan:
    """Return the plan without datasets whose prepared rows cannot be classified, and record those as failures.

    remaining: stages still to run; if classification is not among them, datasets are kept with a warning.
    """
    from saefari.classify.classes import check_classes

    for dataset in plan.datasets:
        models = [model for model in plan.models if dataset in plan.datasets_of(model)]
        if not models:
            continue
        spec = dataset.spec
        where = "/".join(filter(None, [build_jobs.shown(spec.name, dataset.slug), spec.config_name, spec.split]))
        folders = [plan.samples(models[0], dataset, split) for split in dataset.splits]
        try:
            for warning in check_classes(folders, plan.config.settings.cv_folds, where, str(spec.label_field)):
                report.warn(warning)
        except StoreError:
            continue  # reading the rows later reports what to run
        except DataError as error:
            if "classify" in remaining:
                after = without_rows(plan, dataset, *models)
                report.fail(where, str(error), lost_work(plan, after, remaining))
                plan = after
            else:
                report.warn(f"{where} cannot be classified: {error}")
    return plan


def label_failure(spec: DatasetSpec, settings: Settings) -> str | None:
    """Return why the rows of a split cannot be classified, judged by its column of labels; None if they may be.

    Unreadable rows are not reported here.
    """
    from saefari.classify.classes import check_labels
    from saefari.data.dataset import open_dataset
    from saefari.data.example import as_label
    from saefari.data.splits import sample_rows

    try:
        dataset = open_dataset(spec, spec.split)
        labels = [as_label(value) for (value,) in dataset.table.values([str(spec.label_field)])]
    except DataError:
        return None
    rows = sample_rows(len(labels), rows_wanted(settings), settings.seed)
    try:
        check_labels([labels[row] for row in rows], settings.cv_folds, str(spec.label_field))
    except DataError as error:
        return str(error)
    return None
