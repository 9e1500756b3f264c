"""What the executor runs: each job is picklable, idempotent and safe to run twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from saefari.config import DatasetSpec, Settings

if TYPE_CHECKING:
    from saefari.classify.run import ClassifyJob, JobOutcome
    from saefari.extract.run import ExtractJob
    from saefari.models.text import TextModel
    from saefari.store import TokenisedRow
    from saefari.train.sae import SaeJob


class Job(Protocol):
    """title: how messages name the job. run: does the work, returns warnings, raises SaefariError."""

    @property
    def title(self) -> str: ...

    def run(self) -> list[str]: ...

    def on(self, device: str) -> Job:
        """The same job for another device."""
        ...


@dataclass(frozen=True)
class Prepare:
    """Freeze a dataset's rows, tokens and split as one model reads them."""

    title: str
    model: str
    revision: str | None
    spec: DatasetSpec
    settings: Settings
    folder: Path
    test_folder: Path | None
    overwrite: bool

    def on(self, device: str) -> Prepare:
        return self

    def run(self) -> list[str]:
        from saefari.data.text import open_dataset
        from saefari.extract.prepare import prepare_samples, prepare_split, samples_settings
        from saefari.models.tokenizer import TextTokenizer

        settings, spec = self.settings, self.spec
        tokenizer = TextTokenizer.load(self.model, self.revision)
        for split, folder in ((spec.split, self.folder), (spec.test_split, self.test_folder)):
            if split is None or folder is None:
                continue
            dataset = open_dataset(spec, split)
            wanted = samples_settings(
                dataset,
                rows_wanted(settings),
                settings.seed,
                settings.max_length,
                settings.include_special_tokens,
                tokenizer.digest,
            )
            prepare_samples(folder, dataset, tokenizer, wanted, self.overwrite)
        record = prepare_split(self.folder, self.test_folder, settings.test_size, settings.seed)
        return [f"{self.title}: {warning}" for warning in record["warnings"]]


@dataclass(frozen=True)
class Train:
    """Train the SAEs that one entry of conf.yaml asks for, all from one forward pass per batch."""

    title: str
    model: str
    revision: str | None
    device: str
    dtype: str
    saes: tuple[SaeJob, ...]
    samples: tuple[Path, ...]
    seed: int
    max_tokens: int
    overwrite: bool

    def on(self, device: str) -> Train:
        return replace(self, device=device)

    def run(self) -> list[str]:
        import shutil

        from saefari.errors import ConflictError
        from saefari.fingerprint import fingerprint
        from saefari.log import logger, progress_bar
        from saefari.models.settings import model_settings
        from saefari.store import read_samples_record, read_split_record
        from saefari.train.sae import is_trained, train_saes

        rows = [
            [(read_samples_record(folder) or {})["sha256"], (read_split_record(folder) or {})["sha256"]]
            for folder in self.samples
        ]
        shared = {
            "model": model_settings(self.model, self.revision, self.dtype, self.device),
            "training_rows": fingerprint(rows),
            "seed": self.seed,
        }
        jobs = [replace(job, settings={**job.settings, **shared}) for job in self.saes]
        missing = []
        for job in jobs:
            try:
                if not is_trained(job):
                    missing.append(job)
            except ConflictError:
                if not self.overwrite:
                    raise
                logger.warning("%s: removed, it was trained with other settings", job.folder)
                shutil.rmtree(job.folder)
                missing.append(job)
        if missing:
            model = load_model(self.model, self.revision, self.dtype, self.device)
            with progress_bar(missing[0].training.n_positions, f"train {self.title}", "positions") as bar:
                train_saes(model, self._training_rows, missing, self.seed, self.max_tokens, bar.update)
        return []

    def _training_rows(self) -> Iterator[TokenisedRow]:
        """Training rows only, in a seeded order that mixes datasets and classes."""
        from saefari.store import iter_token_rows, read_split
        from saefari.store.shards import SHARD_ROWS

        generator = np.random.default_rng(self.seed)
        places = [
            (folder, shard) for folder in self.samples for shard in range(-(-len(read_split(folder)) // SHARD_ROWS))
        ]
        for place in generator.permutation(len(places)):
            folder, shard = places[place]
            _, rows = next(iter_token_rows(folder, [shard]))
            parts = read_split(folder)[shard * SHARD_ROWS :][: len(rows)]
            for index in generator.permutation(np.flatnonzero(parts == 0)):
                yield rows[index]


@dataclass(frozen=True)
class Extract:
    """Run one model over one dataset split."""

    job: ExtractJob

    @property
    def title(self) -> str:
        return self.job.title

    def on(self, device: str) -> Extract:
        return Extract(replace(self.job, device=device))

    def run(self) -> list[str]:
        from saefari.extract.run import run_extract

        job = self.job
        return run_extract(job, lambda: load_model(job.model, job.revision, job.dtype, job.device))


@dataclass(frozen=True)
class Encode:
    """Encode an `act_only` split's stored positions."""

    job: ExtractJob

    @property
    def title(self) -> str:
        return f"encode {self.job.title}"

    def on(self, device: str) -> Encode:
        return Encode(replace(self.job, device=device))

    def run(self) -> list[str]:
        from saefari.extract.encode_stored import run_encode

        return run_encode(self.job)


def classify(job: ClassifyJob, save_plots: bool) -> JobOutcome:
    """Fit a feature source's classifiers and, if asked for, draw each setting's figures beside its results."""
    from saefari.classify.run import run_classify_job
    from saefari.classify.settings import settings_of
    from saefari.report.figures import save_figures
    from saefari.store.layout import RESULTS

    outcome = run_classify_job(job)
    if save_plots:
        for setting in settings_of(job.source, job.params):
            folder = job.out / setting.folder(job.source)
            if (folder / RESULTS).exists():
                try:
                    save_figures(folder)
                except Exception as error:  # the results themselves are whole
                    outcome.warnings.append(f"{folder}: figures could not be drawn ({type(error).__name__}: {error})")
    return outcome


def rows_wanted(settings: Settings) -> int | None:
    """Rows of each split to use: the smaller of max_samples and max_batches x batch_size."""
    limits = [settings.max_samples]
    if settings.max_batches is not None and settings.batch_size is not None:
        limits.append(settings.max_batches * settings.batch_size)
    return min((limit for limit in limits if limit is not None), default=None)


@lru_cache(maxsize=1)
def load_model(name: str, revision: str | None, dtype: str, device: str) -> TextModel:
    """The model, kept while jobs that follow one another use the same one."""
    from saefari.log import logger
    from saefari.models.text import TextModel

    logger.info("loading %s", name)
    return TextModel.load(name, revision, dtype, device)
