"""Encode stored token rows with several SAEs in one forward pass, into shards of codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from saefari.errors import DataError, SaeError
from saefari.interp.cache.codes_output import CodesOutput, ShardCodes
from saefari.log import progress_bar
from saefari.models.background_calls import background_calls
from saefari.models.forward import Forward, Model
from saefari.models.hooks import HookPoint
from saefari.models.norms import MEASURED_POSITIONS, norm_medians, outliers, without_outliers
from saefari.models.source import ModelSource
from saefari.names import RANDOM
from saefari.saes.control import random_control
from saefari.saes.encode import Codes, encode, insert_outliers
from saefari.saes.identity import sae_settings
from saefari.saes.load import LoadedSae, check_width, load_sae
from saefari.saes.ref import SaeRef
from saefari.store import (
    TokenisedRow,
    codes_folder,
    iter_token_rows,
    read_samples_record,
    read_split,
    read_split_record,
    shard_ranges,
)
from saefari.store.layout import SPLIT
from saefari.store.median_norm import read_median_norm, write_median_norm
from saefari.store.shards import SHARD_ROWS

ROWS_PER_SHARD = 256
"""Rows whose codes are in memory together; divides the rows of a shard of samples."""
CALIBRATION_POSITIONS = 8192
_WRITERS = 4  # threads that compress and write the codes of a shard


@dataclass(frozen=True)
class CachedSae:
    """An SAE to encode with, or its control with random weights."""

    ref: SaeRef
    random: bool = False

    @property
    def name(self) -> str:
        """Folder name of its codes."""
        return self.ref.width + RANDOM if self.random else self.ref.width


@dataclass(frozen=True)
class EncodeJob:
    """Stored token rows to encode. Idempotent: makes only shards that are missing or do not verify.

    samples: folder with samples.parquet, of texts. into: folder below which codes are written, None = `samples`.
    outlier_norm: as in settings, a position with a norm above this multiple of its layer's median is an outlier and has
    no active latent. seed: of the random controls.
    """

    title: str
    model: ModelSource
    samples: Path
    saes: tuple[CachedSae, ...]
    max_tokens: int
    max_sequences: int | None = None
    into: Path | None = None
    outlier_norm: float | None = None
    seed: int = 0
    overwrite: bool = False

    def folder(self, sae: CachedSae) -> Path:
        """Return the folder of an SAE's codes."""
        return codes_folder(self.into or self.samples, sae.ref.layer, sae.name)


def encode_rows(job: EncodeJob, model: Callable[[], Model]) -> None:
    """Encode the rows with every SAE whose codes are missing, in one forward pass.

    model: loads the model; called only if something is missing. Memory is bounded by `ROWS_PER_SHARD` rows.
    Raises ConflictError if a folder holds codes of other settings and `job.overwrite` is false, DataError if the
    samples are missing, SaeError if an SAE cannot be loaded or does not fit the model.
    """
    record = read_samples_record(job.samples)
    if record is None:
        raise DataError(f"{job.samples}: the samples are missing or damaged; prepare them again")
    ranges = shard_ranges(record["n_rows"], ROWS_PER_SHARD)
    outputs = [(sae, _output(job, sae, record)) for sae in job.saes]
    for _, output in outputs:
        output.inspect(ranges, job.overwrite)
    unfinished = [(sae, output) for sae, output in outputs if output.missing]
    if unfinished:
        _Encoding(job, model(), unfinished).run(ranges)


def _output(job: EncodeJob, sae: CachedSae, samples: dict[str, Any]) -> CodesOutput:
    """Return the output of an SAE, with all settings that shape its codes. samples: record of the samples."""
    settings = {
        "model": job.model.settings(),
        "samples": samples["sha256"],
        "hook": sae.ref.hook,
        "sae": sae_settings(sae.ref),
        "shard_rows": ROWS_PER_SHARD,  # unlike the codes of an extraction, which must not be mixed with these
    }
    if job.outlier_norm is not None:
        settings["outlier_norm"] = job.outlier_norm
    if sae.random:
        split = read_split_record(job.samples)
        settings |= {"random_seed": job.seed, "calibrated_on": split["sha256"] if split else None}
    return CodesOutput(job.folder(sae), settings, samples["n_rows"])


class _Encoding:
    """A running job."""

    def __init__(self, job: EncodeJob, model: Model, outputs: Sequence[tuple[CachedSae, CodesOutput]]) -> None:
        self._job = job
        self._model = model
        self._forward = Forward(model, job.max_tokens, job.max_sequences)
        loaded: dict[SaeRef, LoadedSae] = {}
        for ref in dict.fromkeys(sae.ref for sae, _ in outputs):
            loaded[ref] = load_sae(ref, model.device)
            if loaded[ref].hook.site != "attn_z":  # as wide as all heads together, which may differ from d_model
                check_width(loaded[ref], model.d_model, job.model.name)
        self._hooks = sorted({sae.hook for sae in loaded.values()})
        self._limits = self._norm_limits()
        self._pairs: list[tuple[CodesOutput, LoadedSae]] = []
        for sae, output in outputs:
            limit = self._limits[loaded[sae.ref].hook]
            facts = {**loaded[sae.ref].fingerprint(), "random": sae.random}
            output.confirm(facts | ({} if limit is None else {"norm_limit": limit}))
            self._pairs.append((output, self._sae(sae, loaded[sae.ref])))

    def run(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Make the missing shards. On a GPU, compute the next shard while one is compressed and written."""
        missing = sorted(set().union(*(output.missing for output, _ in self._pairs)))
        n_rows = sum(ranges[shard][1] - ranges[shard][0] for shard in missing)
        with (
            progress_bar(n_rows, f"encode {self._job.title}", "rows") as bar,
            ThreadPoolExecutor(_WRITERS) as writers,
        ):
            writing: list[Future[None]] = []
            for shard, rows in _shards(self._job.samples, missing):
                wanted = [(output, sae) for output, sae in self._pairs if shard in output.missing]
                computed = self._shard(rows, wanted)
                _wait(writing)
                writing = [
                    writers.submit(output.write, shard, ranges[shard], codes)
                    for (output, _), codes in zip(wanted, computed, strict=True)
                ]
                if self._model.device.type == "cpu":
                    _wait(writing)  # on a CPU, writing and computing in parallel is slower
                bar.update(len(rows))
            _wait(writing)

    def _shard(self, rows: Sequence[TokenisedRow], wanted: Sequence[tuple[CodesOutput, LoadedSae]]) -> list[ShardCodes]:
        """Encode the rows of one shard with the wanted SAEs."""
        collected = [ShardCodes() for _ in wanted]
        hooks = sorted({sae.hook for _, sae in wanted})

        def consume(batch: np.ndarray, counts: np.ndarray, states: dict[HookPoint, torch.Tensor]) -> None:
            masks = {hook: outliers(states[hook], self._limits[hook]) for hook in hooks}
            for (_, sae), codes in zip(wanted, collected, strict=True):
                mask = masks[sae.hook]
                codes.add(batch, counts, _encode(sae, states[sae.hook], mask), mask)

        with background_calls(self._model.device) as call:
            for batch, counts, states in self._forward(rows, hooks):
                call(consume, batch, counts, states)
        return collected

    def _norm_limits(self) -> dict[HookPoint, float | None]:
        """Return hook -> norm above which a position is an outlier; None if the job has no `outlier_norm`.

        The medians are measured on the first training rows and stored, so that a resumed job has the same limits.
        """
        job = self._job
        if job.outlier_norm is None:
            return dict.fromkeys(self._hooks)
        limits: dict[HookPoint, float | None] = {}
        folder, record = job.into or job.samples, read_samples_record(job.samples) or {}
        for hook in self._hooks:
            settings = {"model": job.model.settings(), "samples": record.get("sha256"), "hook": hook.name}
            found, median = read_median_norm(folder, hook.layer, settings)
            if not found:
                median = norm_medians(self._model, [_first_rows(job.samples, MEASURED_POSITIONS)], [hook])[hook]
                write_median_norm(folder, hook.layer, settings, median)
            limits[hook] = None if median is None else job.outlier_norm * median
        return limits

    def _sae(self, sae: CachedSae, loaded: LoadedSae) -> LoadedSae:
        """Return the SAE, or its random control, calibrated to its sparsity on the first training rows."""
        if not sae.random:
            return loaded
        rows = _first_rows(self._job.samples, CALIBRATION_POSITIONS)
        sample = torch.cat([states[loaded.hook] for _, _, states in self._forward(rows, [loaded.hook])])
        sample = without_outliers(sample, self._limits[loaded.hook])
        return random_control(loaded, sample[:CALIBRATION_POSITIONS], self._job.seed)


def _wait(writing: Sequence[Future[None]]) -> None:
    """Wait until all are written; raise the first exception."""
    for future in writing:
        future.result()


def _encode(loaded: LoadedSae, hidden: torch.Tensor, mask: np.ndarray | None) -> Codes:
    """Encode hidden states [n_positions, d_in]; mask: bool [n_positions], outliers, which get no latent."""
    if hidden.shape[-1] != loaded.d_in:  # only heads' outputs, whose length is not checked earlier
        raise SaeError(
            f"{loaded.ref.title} takes vectors of {loaded.d_in} values, and {loaded.hook} has {hidden.shape[-1]}"
        )
    if mask is None:
        return encode(loaded, hidden)
    return insert_outliers(encode(loaded, hidden[torch.from_numpy(~mask).to(hidden.device)]), mask)


def _shards(samples: Path, wanted: Sequence[int]) -> Iterator[tuple[int, list[TokenisedRow]]]:
    """Yield (shard, its rows) of the wanted shards of `ROWS_PER_SHARD` rows."""
    per_group = SHARD_ROWS // ROWS_PER_SHARD
    for group, rows in iter_token_rows(samples, sorted({shard // per_group for shard in wanted})):
        for shard in wanted:
            if shard // per_group == group:
                start = (shard % per_group) * ROWS_PER_SHARD
                yield shard, rows[start : start + ROWS_PER_SHARD]


def _first_rows(samples: Path, n_positions: int) -> list[TokenisedRow]:
    """Return the first training rows (all rows without a split) with at least `n_positions` positions in total."""
    training = read_split(samples) == 0 if (samples / SPLIT).exists() else None
    chosen: list[TokenisedRow] = []
    total = 0
    for group, rows in iter_token_rows(samples):
        for number, row in enumerate(rows, group * SHARD_ROWS):
            if total < n_positions and (training is None or training[number]):
                chosen.append(row)
                total += len(row.valid)
        if total >= n_positions:
            break
    return chosen
