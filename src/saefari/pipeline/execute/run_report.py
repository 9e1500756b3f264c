"""Report of a run, and its text at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saefari.log import logger
from saefari.pipeline.plan.plan import Plan
from saefari.pipeline.plan.vision_model import describe_trained
from saefari.store import Failure


@dataclass
class Report:
    """Outcome of a run. rows: of the summary. reused, reused_saes: settings and SAEs from an earlier run.

    saes, explanations: texts of the reports on SAEs and explanations. images: number of image reports.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    reused: int = 0
    reused_saes: int = 0
    saes: str = ""
    explanations: str = ""
    images: int = 0

    def warn(self, warning: str) -> None:
        """Log a warning that no job has logged, and add it to the report."""
        logger.warning("%s", warning)
        self.warnings.append(warning)

    def fail(self, job: str, reason: str, not_done: Sequence[str] = ()) -> None:
        """Log a failure and add it to the report, with the work that is skipped because of it."""
        failure = Failure(job, reason, tuple(work.removesuffix(f" ({job})") for work in not_done))
        logger.error("%s failed: %s%s", job, reason, f"\n  {failure.consequence}" if not_done else "")
        self.failures.append(failure)


def describe_report(plan: Plan, report: Report, stages_run: Sequence[str]) -> str:
    """Format the outcome of a run as text: best settings, warnings, failures and output folders."""
    lines: list[str] = []
    if report.rows:
        from saefari.report.results.summary import best_table

        lines += ["", "Best setting of each source, chosen by cross-validation on training rows:", ""]
        lines += [best_table(report.rows), ""]
    if plan.vision is not None:
        lines += describe_trained(plan.vision)
    if report.saes:
        lines += ["", report.saes, ""]
    if report.explanations:
        lines += ["", report.explanations, ""]
    if report.reused_saes:
        lines.append(f"{report.reused_saes} SAEs reused from an earlier run.")
    if report.reused:
        lines.append(f"{report.reused} settings reused from an earlier run.")
    lines += [f"warning: {warning}" for warning in dict.fromkeys(report.warnings)]
    for failure in report.failures:
        lines += [f"FAILED: {failure.job}", f"        {failure.reason}"]
        lines += [f"        {failure.consequence}"] if failure.not_done else []
    lines += [f"{name}: {path}" for name, path in _places(plan, stages_run)]
    if report.images:
        lines.append(f"Images of latents    : {plan.layout.images}")  # aligned with _places
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
    if "explain" in stages_run and plan.config.explain is not None:
        places.append(("Explanations         ", layout.explanations))
    return places
