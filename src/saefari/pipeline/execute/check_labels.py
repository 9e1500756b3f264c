"""Check that a plan's rows can be classified, before a model is trained on them or runs over them."""

from __future__ import annotations

from saefari.config import DatasetSpec, Settings
from saefari.errors import DataError, StoreError
from saefari.extract.frozen_rows import rows_wanted
from saefari.pipeline.execute import build_jobs as stages
from saefari.pipeline.execute.dependents import Stage, lost_work, without_rows
from saefari.pipeline.execute.run_report import Report
from saefari.pipeline.plan.plan import Plan


def drop_unclassifiable(plan: Plan, report: Report, remaining: set[Stage]) -> Plan:
    """The plan without the datasets whose prepared rows cannot be classified, which are failures of the run.

    remaining: the stages still to be run; where classification is none of them, a dataset stays, with a warning.
    """
    from saefari.classify.classes import check_classes

    for dataset in plan.datasets:
        models = [model for model in plan.models if dataset in plan.datasets_of(model)]
        if not models:
            continue
        spec = dataset.spec
        where = "/".join(filter(None, [stages.shown(spec.name, dataset.slug), spec.config_name, spec.split]))
        folders = [plan.samples(models[0], dataset, split) for split in dataset.splits]
        try:
            for warning in check_classes(folders, plan.config.settings.cv_folds, where, str(spec.label_field)):
                report.warn(warning)
        except StoreError:
            continue  # reading them says what to run
        except DataError as error:
            if "classify" in remaining:
                after = without_rows(plan, dataset, *models)
                report.fail(where, str(error), lost_work(plan, after, remaining))
                plan = after
            else:
                report.warn(f"{where} cannot be classified as it is: {error}")
    return plan


def label_failure(spec: DatasetSpec, settings: Settings) -> str | None:
    """Why the rows of a split cannot be classified, told from its column of labels alone; None where they may.

    Rows that cannot be read are no matter of this check.
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
