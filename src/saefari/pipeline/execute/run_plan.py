"""Execute a plan (prepare, train, extract, classify, explain); after a failure, skip only dependent work."""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import partial

from saefari.errors import explain_failure
from saefari.log import progress_bar
from saefari.pipeline.execute import build_jobs
from saefari.pipeline.execute.check_labels import drop_unclassifiable, label_failure
from saefari.pipeline.execute.classify_jobs import classify_jobs
from saefari.pipeline.execute.dependents import (
    Stage,
    lost_work,
    without_codes,
    without_features,
    without_model,
    without_rows,
    without_saes,
)
from saefari.pipeline.execute.executor import Outcome, available_cores, run_in_processes, run_on_devices
from saefari.pipeline.execute.image_reports import image_reports
from saefari.pipeline.execute.jobs import classify, finished
from saefari.pipeline.execute.run_report import Report
from saefari.pipeline.execute.verify_features import verify_features
from saefari.pipeline.execute.vision_model import learned_row_warnings, vision_jobs
from saefari.pipeline.plan.check_saes import latent_warnings
from saefari.pipeline.plan.plan import Plan
from saefari.store import iter_results, lock_tree, write_last_run


def run_plan(
    plan: Plan,
    *,
    training: bool = True,
    extracting: bool = True,
    classifying: bool = True,
    explaining: bool = True,
    overwrite: bool = False,
) -> Report:
    """Execute the selected stages of a plan and return a report of the outcome.

    Raises StoreError if another run locks the output tree or it cannot be written.
    """
    report = Report()
    for warning in [*plan.warnings, *(latent_warnings(plan) if classifying else [])]:
        report.warn(warning)
    explaining = explaining and plan.config.explain is not None
    selected: dict[Stage, bool] = {
        "train": training,
        "extract": extracting,
        "classify": classifying,
        "explain": explaining,
    }
    remaining = {stage for stage, wanted in selected.items() if wanted}
    trains = bool(plan.trained())
    with ExitStack() as locks:
        layout = plan.layout
        folders = [layout.activations, layout.classifications, layout.saes]
        folders += [layout.models] * (plan.vision is not None) + [layout.explanations] * explaining
        for folder in sorted({folder.resolve() for folder in folders}):
            locks.enter_context(lock_tree(folder))
        if training or extracting:
            plan = _make_features(plan, report, remaining, overwrite)
        if classifying and not extracting:
            plan = drop_unclassifiable(_verified(plan, report), report, remaining)
        if classifying:
            _classify(plan, report, overwrite)
        if trains and (training or classifying):
            _report_saes(plan, report)
        if extracting or classifying:
            _report_images(plan, report)
        if explaining:
            _explain(plan, report, overwrite)
        write_last_run(plan.layout.last_run, report.failures, report.warnings)
    return report


def visible_devices(plan: Plan) -> list[str]:
    """Return the devices to use: the configured one, all visible GPUs, or the CPU."""
    settings = plan.config.settings
    if settings.cuda_visible_devices is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = settings.cuda_visible_devices
    if settings.device != "auto":
        return [settings.device]
    import torch

    return [f"cuda:{i}" for i in range(torch.cuda.device_count())] or ["cpu"]


def _make_features(plan: Plan, report: Report, remaining: set[Stage], overwrite: bool) -> Plan:
    """Prepare, train and extract; return the plan without failures. With act_only, training follows extraction."""
    devices = visible_devices(plan)
    plan = _train_vision(plan, report, remaining, devices, overwrite)
    plan = _prepare(plan, report, remaining, overwrite)
    plan = drop_unclassifiable(plan, report, remaining)
    report.warnings += learned_row_warnings(plan)
    if plan.config.settings.act_only:
        plan = _extract(plan, report, remaining, devices, overwrite)
        return _train(plan, report, remaining - {"extract"}, devices, overwrite) if "train" in remaining else plan
    if "train" in remaining:
        plan = _train(plan, report, remaining - {"train"}, devices, overwrite)
    return _extract(plan, report, remaining - {"train"}, devices, overwrite) if "extract" in remaining else plan


def _train_vision(plan: Plan, report: Report, remaining: set[Stage], devices: list[str], overwrite: bool) -> Plan:
    """Train the vision model; return the plan, without the model if training fails."""
    vision = plan.vision
    if vision is None:
        return plan
    without = without_model(plan, str(vision.folder))
    reason = label_failure(vision.dataset, plan.config.settings) if "classify" in remaining else None
    if reason is not None:
        report.fail(f"vision model {vision.training.name}", reason, lost_work(plan, without, remaining))
        return without
    outcomes = run_on_devices(vision_jobs(plan, devices[0], overwrite), devices[:1])
    for outcome in outcomes:
        plan = _record_outcome(plan, report, remaining, outcome, without)
    return plan


def _prepare(plan: Plan, report: Report, remaining: set[Stage], overwrite: bool) -> Plan:
    pairs = list(plan.pairs())
    for (model, dataset), outcome in zip(
        pairs, run_on_devices(build_jobs.prepare_jobs(plan, overwrite), ["cpu"]), strict=True
    ):
        plan = _record_outcome(plan, report, remaining, outcome, without_rows(plan, dataset, model))
    return plan


def _train(plan: Plan, report: Report, remaining: set[Stage], devices: list[str], overwrite: bool) -> Plan:
    jobs = build_jobs.train_jobs(plan, devices[0], overwrite)
    written_before = [job.written() for job in jobs]
    for job, before, outcome in zip(jobs, written_before, run_on_devices(jobs, devices), strict=True):
        lost = job.lost() if outcome.failure else set()
        plan = _record_outcome(plan, report, remaining - {"train"}, outcome, without_saes(plan, lost))
        if not outcome.failure:
            report.reused_saes += len(before.items() & job.written().items())
    return plan


def _extract(plan: Plan, report: Report, remaining: set[Stage], devices: list[str], overwrite: bool) -> Plan:
    splits = [(model, dataset) for model, dataset in plan.pairs() for _ in dataset.splits]
    outcomes = run_on_devices(build_jobs.extract_jobs(plan, devices[0], overwrite), devices)
    for (model, dataset), outcome in zip(splits, outcomes, strict=True):
        plan = _record_outcome(plan, report, remaining - {"extract"}, outcome, without_features(plan, model, dataset))
    return plan


def _record_outcome(plan: Plan, report: Report, remaining: set[Stage], outcome: Outcome, without: Plan) -> Plan:
    """Add a job's outcome to the report; return the plan, or `without` (its dependents) if the job failed."""
    report.warnings += outcome.warnings
    if outcome.failure is None:
        return plan
    report.fail(outcome.title, outcome.failure, lost_work(plan, without, remaining))
    return without


def _verified(plan: Plan, report: Report) -> Plan:
    """Return the plan without features that are missing or have other settings; report those as failures."""
    plan, failures = verify_features(plan)
    for failure in failures:
        report.fail(*failure)
    return plan


def _classify(plan: Plan, report: Report, overwrite: bool) -> None:
    from saefari.classify.job import FORMAT, ClassifyJob, JobOutcome, n_settings
    from saefari.report.results.summary import older_results, write_summary

    if plan.config.settings.act_only:
        plan = _encode(plan, report, overwrite)
    jobs = sorted(classify_jobs(plan), key=n_settings, reverse=True)  # longest first, so that workers end together
    workers = plan.config.settings.n_jobs if plan.config.settings.n_jobs > 0 else available_cores()

    def done(job: ClassifyJob, outcome: JobOutcome | BaseException) -> None:
        """Add a job's outcome to the report."""
        bar.update(n_settings(job))
        if isinstance(outcome, BaseException):
            report.fail(str(job.out), explain_failure(outcome))
            return
        report.rows += outcome.rows
        report.warnings += outcome.warnings
        report.reused += outcome.reused
        for failure in outcome.failures:
            report.fail(failure.setting, failure.reason)

    with progress_bar(sum(map(n_settings, jobs)), "classify", "settings") as bar:
        pending, save_plots = [], plan.config.settings.save_plots
        for job in jobs:
            if (outcome := finished(job, save_plots)) is not None:
                done(job, outcome)
            else:
                pending.append(job)
        run_in_processes(partial(classify, save_plots=save_plots), pending, workers, done)
    results = list(iter_results(plan.layout.classifications))
    write_summary(plan.layout.summary, results)
    if older := older_results(results, FORMAT):
        report.warn(
            f"{len(older):,} results in {plan.layout.summary} come from an older version, whose search differs, "
            f"the first in {older[0]}: run their configuration again, or remove their folders"
        )


def _encode(plan: Plan, report: Report, overwrite: bool) -> Plan:
    """Encode stored hidden states; return the plan without codes that failed."""
    devices = visible_devices(plan)
    splits = [(m, d) for m, d in plan.pairs() if d in plan.extracted_datasets_of(m) for _ in d.splits]
    outcomes = run_on_devices(build_jobs.encode_jobs(plan, devices[0], overwrite), devices)
    for (model, dataset), outcome in zip(splits, outcomes, strict=True):
        plan = _record_outcome(plan, report, {"classify"}, outcome, without_codes(plan, model, dataset))
    return plan


def _explain(plan: Plan, report: Report, overwrite: bool) -> None:
    """Explain latents, one SAE after the other, and write the report on all explanations."""
    from saefari.interp.run import run_explain
    from saefari.interp.shared import Shared
    from saefari.pipeline.execute.explain_jobs import explain_jobs
    from saefari.report.explanations.report import write_explanation_report

    shared = Shared()
    for job in explain_jobs(plan, visible_devices(plan)[0], overwrite, report):
        try:
            outcome = run_explain(job, shared)
        except Exception as error:  # other SAEs are explained nevertheless
            report.fail(job.title, explain_failure(error))
            continue
        report.warnings += outcome.warnings
        if outcome.failures:
            report.fail(job.title, outcome.failure_text)
    try:
        report.explanations = write_explanation_report(plan.layout)
    except Exception as error:  # the explanations themselves are intact
        report.fail("report on the explanations", explain_failure(error))


def _report_saes(plan: Plan, report: Report) -> None:
    from saefari.report.saes.report import write_sae_report

    try:
        report.saes = write_sae_report(plan.layout)
    except Exception as error:  # the SAEs themselves are intact
        report.fail("report on the trained SAEs", explain_failure(error))


def _report_images(plan: Plan, report: Report) -> None:
    from saefari.report.images.report import write_image_report

    for images in image_reports(plan):
        try:
            write_image_report(images)
            report.images += 1
        except Exception as error:  # codes and results are intact
            report.fail(f"image report, {images.title}", explain_failure(error))
