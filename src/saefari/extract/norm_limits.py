"""Outlier limits: a multiple of a layer's median norm on training rows, measured once and stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from saefari.errors import DataError
from saefari.extract.job import ExtractJob
from saefari.extract.model_inputs import rows_to_calibrate
from saefari.log import logger
from saefari.models.forward import Model
from saefari.models.hooks import HookPoint
from saefari.models.norms import MEASURED_POSITIONS, norm_medians
from saefari.store import read_samples_record
from saefari.store.median_norm import read_median_norm, write_median_norm


def norm_limits(job: ExtractJob, hooks: Mapping[int, HookPoint], model: Callable[[], Model]) -> dict[int, float | None]:
    """Return layer -> norm above which a position is an outlier; None if the job has no outlier_norm.

    hooks: hook point per layer. Medians are those of the job's calibration samples; missing ones are measured on the
    first training rows and stored there.
    """
    if job.outlier_norm is None:
        return dict.fromkeys(hooks)
    wanted = {layer: _settings(job, hook) for layer, hook in hooks.items()}
    stored = {layer: read_median_norm(job.calibration, layer, settings) for layer, settings in wanted.items()}
    missing = [layer for layer, (found, _) in stored.items() if not found]
    medians = {layer: median for layer, (_, median) in stored.items()}
    if missing:
        logger.info("%s: measuring the norms of hidden states", job.title)
        windows = rows_to_calibrate(job).training(MEASURED_POSITIONS)
        measured = norm_medians(model(), windows, [hooks[layer] for layer in missing])
        for layer in missing:
            medians[layer] = measured[hooks[layer]]
            write_median_norm(job.calibration, layer, wanted[layer], medians[layer])
    return {layer: None if median is None else job.outlier_norm * median for layer, median in medians.items()}


def measure_norms(job: ExtractJob, model: Callable[[], Model]) -> None:
    """Measure and store the median norms of a job before its SAEs are trained; hook points come from the plan."""
    norm_limits(job, {cell.ref.layer: HookPoint.parse(str(cell.ref.hook)) for cell in job.cells}, model)


def _settings(job: ExtractJob, hook: HookPoint) -> dict[str, Any]:
    record = read_samples_record(job.calibration)
    if record is None:
        raise DataError(f"{job.calibration}: the samples are missing or damaged; run the extraction again")
    return {"model": job.model.settings(), "samples": record["sha256"], "hook": hook.name}
