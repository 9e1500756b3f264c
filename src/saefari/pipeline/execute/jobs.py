"""Jobs for the executor; each is picklable and idempotent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from saefari.errors import SaefariError
from saefari.store.layout import SAE_QUALITY

if TYPE_CHECKING:
    from saefari.classify.job import ClassifyJob, JobOutcome
    from saefari.extract.job import ExtractJob
    from saefari.extract.prepare_job import PrepareJob
    from saefari.models.forward import Model
    from saefari.models.source import ModelSource
    from saefari.train.job import TrainJob
    from saefari.train.vision.job import VisionJob


class Job(Protocol):
    """One unit of work for `run_on_devices`."""

    @property
    def title(self) -> str:
        """Name of the job in messages."""
        ...

    def run(self) -> list[str]:
        """Run the job and return warnings. Raises SaefariError for user errors."""
        ...

    def on(self, device: str) -> Job:
        """Return the same job for another device."""
        ...


@dataclass(frozen=True)
class Prepare:
    """Store a dataset's rows, tokens and split as one model reads them."""

    job: PrepareJob

    @property
    def title(self) -> str:
        return self.job.title

    def on(self, device: str) -> Prepare:
        return self

    def run(self) -> list[str]:
        """See `run_prepare`."""
        from saefari.extract.prepare import run_prepare

        return run_prepare(self.job)


@dataclass(frozen=True)
class TrainVision:
    """Train a vision model from scratch."""

    job: VisionJob

    @property
    def title(self) -> str:
        return self.job.title

    def on(self, device: str) -> TrainVision:
        return TrainVision(replace(self.job, device=device))

    def run(self) -> list[str]:
        """See `run_vision`."""
        from saefari.train.vision.run import run_vision

        return run_vision(self.job)


@dataclass(frozen=True)
class Train:
    """Train SAEs of a model on the same positions.

    measured: extractions whose norms are measured first, to find outliers.
    """

    job: TrainJob
    measured: tuple[ExtractJob, ...] = ()

    @property
    def title(self) -> str:
        return self.job.title

    def on(self, device: str) -> Train:
        return Train(self.job.on(device), tuple(job.on(device) for job in self.measured))

    def run(self) -> list[str]:
        """See `run_train`."""
        from saefari.extract.norm_limits import measure_norms
        from saefari.train.run import run_train

        for job in self.measured:
            measure_norms(job, _model_of(job))
        return run_train(self.job, _model_of(self.job))

    def written(self) -> dict[Path, int]:
        """Return folder -> modification time in ns of each SAE that exists."""
        records = {sae.folder: sae.folder / SAE_QUALITY for sae in self.job.saes}
        return {folder: record.stat().st_mtime_ns for folder, record in records.items() if record.is_file()}

    def lost(self) -> set[Path]:
        """Return the folders of SAEs that are missing or have other settings, after the job has failed."""
        from saefari.train.run import trained

        folders = {sae.folder for sae in self.job.saes}
        try:
            return folders - {sae.folder for sae in trained(self.job)}
        except (SaefariError, OSError):  # the error that made the job fail, which is recorded already
            return folders


@dataclass(frozen=True)
class Extract:
    """Run one model over one dataset split."""

    job: ExtractJob

    @property
    def title(self) -> str:
        return self.job.title

    def on(self, device: str) -> Extract:
        return Extract(self.job.on(device))

    def run(self) -> list[str]:
        """See `run_extract`."""
        from saefari.extract.run import run_extract

        return run_extract(self.job, _model_of(self.job))


@dataclass(frozen=True)
class Encode:
    """Encode an `act_only` split's stored positions."""

    job: ExtractJob

    @property
    def title(self) -> str:
        return f"encode {self.job.title}"

    def on(self, device: str) -> Encode:
        return Encode(self.job.on(device))

    def run(self) -> list[str]:
        """See `run_encode`."""
        from saefari.extract.encode_stored import run_encode

        return run_encode(self.job)


def classify(job: ClassifyJob, save_plots: bool) -> JobOutcome:
    """Fit a feature source's classifiers and, with save_plots, draw each setting's figures beside its results."""
    from saefari.classify.run import run_classify_job
    from saefari.classify.settings import settings_of
    from saefari.report.results.figures import figures_are_current, save_figures
    from saefari.store.layout import RESULTS

    outcome = run_classify_job(job)
    if save_plots:
        for setting in settings_of(job.source, job.params):
            folder = job.out / setting.folder(job.source)
            if (folder / RESULTS).exists() and not figures_are_current(folder):
                try:
                    save_figures(folder)
                except Exception as error:  # the results themselves are intact
                    outcome.warnings.append(f"{folder}: figures could not be drawn ({type(error).__name__}: {error})")
    return outcome


def finished(job: ClassifyJob, save_plots: bool) -> JobOutcome | None:
    """Return the outcome of a job that is already complete, from its stored results; None if work is left."""
    from saefari.classify.job import stored_outcome
    from saefari.classify.settings import settings_of
    from saefari.report.results.figures import figures_are_current

    outcome, pending = stored_outcome(job)
    folders = [job.out / setting.folder(job.source) for setting in settings_of(job.source, job.params)]
    return None if pending or (save_plots and not all(map(figures_are_current, folders))) else outcome


def _model_of(job: TrainJob | ExtractJob) -> Callable[[], Model]:
    return partial(load_model, job.model)


@lru_cache(maxsize=1)
def load_model(source: ModelSource) -> Model:
    """The model, kept while jobs that follow one another use the same one."""
    from saefari.log import logger
    from saefari.models import model_types

    logger.info("loading %s", source.name)
    return model_types.load_model(source)
