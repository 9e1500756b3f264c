"""Run a plan: prepare, train, extract, classify; then say what came of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from saefari.errors import explain_failure
from saefari.log import logger, progress_bar
from saefari.pipeline import stages
from saefari.pipeline.image_reports import image_reports
from saefari.pipeline.jobs import classify, finished
from saefari.pipeline.launch import Outcome, available_cores, run_in_processes, run_on_devices
from saefari.pipeline.planned import ModelPlan, Plan
from saefari.pipeline.verify import verified
from saefari.pipeline.vision_model import describe_trained, learned_test_rows, vision_jobs
from saefari.store import hold_tree, write_json


@dataclass
class Report:
    """What a run did. failures: (what failed, why). saes: the table of the trained SAEs, as text.

    images: how many SAEs' top images and heat maps are there.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    reused: int = 0
    reused_saes: int = 0
    saes: str = ""
    images: int = 0

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Take in how jobs ended."""
        for outcome in outcomes:
            self.warnings += outcome.warnings
            if outcome.failure is not None:
                logger.error("%s failed: %s", outcome.title, outcome.failure)
                self.failures.append((outcome.title, outcome.failure))


def run_plan(
    plan: Plan, *, training: bool = True, extracting: bool = True, classifying: bool = True, overwrite: bool = False
) -> Report:
    """Run the stages asked for, with what they need. A failed job is recorded, and the others go on.

    Raises StoreError when another run holds the output tree or it cannot be written.
    """
    report = Report(warnings=_sae_warnings(plan))
    trains = bool(plan.trained())
    with ExitStack() as held:
        layout = plan.layout
        places = [layout.activations, layout.classifications, layout.saes, *([layout.models] if plan.vision else [])]
        for folder in sorted({place.resolve() for place in places}):
            held.enter_context(hold_tree(folder))
        if training or extracting:
            plan = _make_features(plan, report, training, extracting, overwrite)
        if classifying:
            _classify(plan, report, overwrite)
        if trains and (training or classifying):
            _report_saes(plan, report)
        if extracting or classifying:
            _report_images(plan, report)
        failures = [{"job": job, "reason": reason} for job, reason in report.failures]
        write_json(plan.layout.last_run, {"failures": failures, "warnings": report.warnings})
    return report


def _sae_warnings(plan: Plan) -> list[str]:
    """What to know of the planned SAEs, each said once, however many datasets they read."""
    warnings = [f"{model.slug}, {sae.warning}" for model in plan.models for sae in model.saes if sae.warning]
    for warning in warnings:
        logger.warning("%s", warning)
    return warnings


def visible_devices(plan: Plan) -> list[str]:
    """The devices that jobs are spread over: the one that is set, all visible GPUs, or the CPU."""
    settings = plan.config.settings
    if settings.cuda_visible_devices is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = settings.cuda_visible_devices
    if settings.device != "auto":
        return [settings.device]
    import torch

    return [f"cuda:{i}" for i in range(torch.cuda.device_count())] or ["cpu"]


def _make_features(plan: Plan, report: Report, training: bool, extracting: bool, overwrite: bool) -> Plan:
    """Run stage 1; returns the plan without what failed. With act_only, SAEs are trained on what extraction stores."""
    devices = visible_devices(plan)
    plan = _train_vision(plan, report, devices, overwrite)
    plan = _prepare(plan, report, overwrite)
    report.warnings += learned_test_rows(plan)
    act_only = plan.config.settings.act_only
    stage = [_train] * training
    for step in [_extract, *stage] if act_only else [*stage, *[_extract] * extracting]:
        plan = step(plan, report, devices, overwrite)
    return plan


def _train_vision(plan: Plan, report: Report, devices: list[str], overwrite: bool) -> Plan:
    """Train the vision model; returns the plan without it where that fails."""
    outcomes = run_on_devices(vision_jobs(plan, devices[0], overwrite), devices[:1])
    report.add(outcomes)
    if plan.vision is None or not any(outcome.failure for outcome in outcomes):
        return plan
    return replace(plan, models=[model for model in plan.models if model.name != str(plan.vision.folder)])


def _prepare(plan: Plan, report: Report, overwrite: bool) -> Plan:
    prepared = run_on_devices(stages.prepare_jobs(plan, overwrite), ["cpu"])
    report.add(prepared)
    failed = {outcome.title for outcome in prepared if outcome.failure}
    dropped = {
        (model.slug, dataset)
        for model, dataset in plan.pairs()
        if stages.title(model, dataset, dataset.spec.split) in failed
    }
    return replace(plan, dropped=plan.dropped | dropped)


def _train(plan: Plan, report: Report, devices: list[str], overwrite: bool) -> Plan:
    jobs = stages.train_jobs(plan, devices[0], overwrite)
    there = [job.written() for job in jobs]
    outcomes = run_on_devices(jobs, devices)
    report.add(outcomes)
    lost: set[Path] = set()
    for job, before, outcome in zip(jobs, there, outcomes, strict=True):
        if outcome.failure:
            lost |= job.lost()
        else:
            report.reused_saes += len(before.items() & job.written().items())
    return replace(plan, models=[_without(model, lost) for model in plan.models])


def _extract(plan: Plan, report: Report, devices: list[str], overwrite: bool) -> Plan:
    report.add(run_on_devices(stages.extract_jobs(plan, devices[0], overwrite), devices))
    return plan


def _without(model: ModelPlan, folders: set[Path]) -> ModelPlan:
    """The model less the SAEs that could not be trained."""
    return replace(model, saes=tuple(sae for sae in model.saes if Path(sae.ref.path or "") not in folders))


def _classify(plan: Plan, report: Report, overwrite: bool) -> None:
    from saefari.classify.job import ClassifyJob, JobOutcome, n_cells
    from saefari.report.tables import write_summary

    plan, mismatches = verified(plan)
    for what, why in mismatches:
        _fail(report, what, why)
    if plan.config.settings.act_only:
        devices = visible_devices(plan)
        report.add(run_on_devices(stages.encode_jobs(plan, devices[0], overwrite), devices))
    jobs = sorted(stages.classify_jobs(plan), key=n_cells, reverse=True)  # the longest first, to end together
    workers = plan.config.settings.n_jobs if plan.config.settings.n_jobs > 0 else available_cores()

    def done(job: ClassifyJob, outcome: JobOutcome | BaseException) -> None:
        """Take in what a job gave."""
        bar.update(n_cells(job))
        if isinstance(outcome, BaseException):
            _fail(report, str(job.out), explain_failure(outcome))
            return
        report.rows += outcome.rows
        report.warnings += outcome.warnings
        report.reused += outcome.reused
        for failure in outcome.failures:
            _fail(report, failure.cell, failure.reason)

    with progress_bar(sum(map(n_cells, jobs)), "classify", "settings") as bar:
        pending, save_plots = [], plan.config.settings.save_plots
        for job in jobs:
            if (outcome := finished(job, save_plots)) is not None:
                done(job, outcome)
            else:
                pending.append(job)
        run_in_processes(partial(classify, save_plots=save_plots), pending, workers, done)
    write_summary(plan.layout.summary)


def _report_saes(plan: Plan, report: Report) -> None:
    from saefari.report.saes import write_sae_report

    try:
        report.saes = write_sae_report(plan.layout)
    except Exception as error:  # the SAEs themselves are whole
        _fail(report, "the report on the trained SAEs", explain_failure(error))


def _report_images(plan: Plan, report: Report) -> None:
    from saefari.report.images import write_image_report

    for images in image_reports(plan):
        try:
            write_image_report(images)
            report.images += 1
        except Exception as error:  # codes and results are whole
            _fail(report, f"the report on images, {images.title}", explain_failure(error))


def _fail(report: Report, what: str, why: str) -> None:
    logger.error("%s failed: %s", what, why)
    report.failures.append((what, why))


def describe_report(plan: Plan, report: Report, stages_run: Sequence[str]) -> str:
    """The end of a run as a person reads it: best settings, warnings, failures, and where the files are."""
    lines: list[str] = []
    if report.rows:
        from saefari.report.tables import best_table

        lines += ["", "Best setting of each source, chosen by cross-validation on training rows:", ""]
        lines += [best_table(report.rows), ""]
    if plan.vision is not None:
        lines += describe_trained(plan.vision)
    if report.saes:
        lines += ["", report.saes, ""]
    if report.reused_saes:
        lines.append(f"{report.reused_saes} SAEs were there already and were not trained again.")
    if report.reused:
        lines.append(f"{report.reused} settings were there already and were not computed again.")
    lines += [f"warning: {warning}" for warning in dict.fromkeys(report.warnings)]
    lines += [f"FAILED: {what}\n        {why}" for what, why in report.failures]
    lines += [f"{name}: {path}" for name, path in _places(plan, stages_run)]
    if report.images:
        lines.append(f"Images of latents    : {plan.layout.images}")
    return "\n".join(lines)


def _places(plan: Plan, stages_run: Sequence[str]) -> list[tuple[str, Path]]:
    layout = plan.layout
    places = []
    if "extract" in stages_run:
        places.append(("Activations and codes", layout.activations))
    if "train" in stages_run and plan.vision is not None:
        places.append(("Vision model         ", layout.model(plan.vision.training.name)))
    if "train" in stages_run and plan.trained():
        places.append(("Trained SAEs         ", layout.saes))
    if "classify" in stages_run:
        places += [("Classifiers          ", layout.classifications), ("All results          ", layout.summary)]
    return places
