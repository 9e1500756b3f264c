"""Encode stored token rows with several SAEs in one forward pass, into shards of codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import sparse

from saefari.errors import ConflictError, DataError, SaeError
from saefari.log import logger, progress_bar
from saefari.models.background_calls import background_calls
from saefari.models.forward import Forward, Model
from saefari.models.hooks import HookPoint
from saefari.models.norms import MEASURED_POSITIONS, norm_medians, outliers, without_outliers
from saefari.models.row_order import RowOrder
from saefari.models.source import ModelSource
from saefari.names import RANDOM
from saefari.saes.control import random_control
from saefari.saes.encode import Codes, encode, insert_outliers
from saefari.saes.identity import sae_settings
from saefari.saes.load import LoadedSae, check_width, load_sae
from saefari.saes.ref import SaeRef
from saefari.store import (
    Manifest,
    TokenisedRow,
    codes_arrays,
    codes_folder,
    iter_token_rows,
    plan_shards,
    read_samples_record,
    read_split,
    read_split_record,
    shard_ranges,
    write_shard,
)
from saefari.store.layout import SPLIT
from saefari.store.shards import SHARD_ROWS

ROWS_PER_SHARD = 256
"""Rows whose codes are in memory together; divides the rows of a shard of samples."""
CALIBRATION_POSITIONS = 8192


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
    outputs = [_Output(job, sae, record) for sae in job.saes]
    for output in outputs:
        output.inspect(ranges)
    unfinished = [output for output in outputs if output.missing]
    if unfinished:
        _Encoding(job, model(), unfinished).run(ranges)


class _Output:
    """The codes of one SAE, and which of their shards are missing."""

    def __init__(self, job: EncodeJob, sae: CachedSae, samples: dict[str, Any]) -> None:
        self.sae = sae
        self._job = job
        self._folder = job.folder(sae)
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
        self.manifest = Manifest("codes", settings, samples["n_rows"])
        self.missing: frozenset[int] = frozenset()

    def inspect(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Determine the missing shards. Raises ConflictError."""
        plan = plan_shards(self._folder, self.manifest.settings, ranges)
        stored = Manifest.load(self._folder)
        if plan.conflicts and not self._job.overwrite:
            lines = "\n".join(f"    {line}" for line in plan.conflicts)
            raise ConflictError(
                f"{self._folder} holds codes of other settings (stored -> wanted):\n{lines}\n"
                "  Remove the folder, or add --overwrite to replace it."
            )
        if plan.conflicts and stored is not None:
            logger.warning("%s: removed, it was made with other settings", self._folder)
            for shard in stored.shards:
                (self._folder / Path(shard.name).name).unlink(missing_ok=True)
        elif stored is not None:
            self.manifest = stored
            logger.info("%s: %s", self._folder, plan.reason)
        self.missing = frozenset(range(len(ranges)) if plan.conflicts else plan.missing)

    def confirm(self, facts: dict[str, Any]) -> None:
        """Record facts known only after loading. Raises ConflictError if stored shards have other facts."""
        if self.manifest.shards and self.manifest.facts != facts:
            raise ConflictError(f"{self._folder}: its shards were made with another SAE or limit; remove the folder")
        self.manifest.facts = facts

    def write(self, index: int, rows: tuple[int, int], codes: _ShardCodes) -> None:
        """Write a shard, then record it."""
        self.manifest.add(write_shard(self._folder, index, rows, codes.arrays()))
        self.manifest.save(self._folder)


@dataclass
class _ShardCodes:
    """Codes of one shard, collected from batches in any order."""

    order: RowOrder = field(default_factory=RowOrder)
    codes: list[sparse.csr_array] = field(default_factory=list)
    masks: list[np.ndarray | None] = field(default_factory=list)

    def add(self, rows: np.ndarray, counts: np.ndarray, codes: Codes, mask: np.ndarray | None) -> None:
        self.order.add(rows, counts)
        self.codes.append(codes.to_csr())
        self.masks.append(mask)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays of a codes shard."""
        codes = sparse.vstack(self.codes, format="csr")[self.order.positions()]
        offsets = self.order.offsets()
        arrays = codes_arrays(codes.indptr, codes.indices, codes.data, offsets, codes.shape[1])
        found = self.order.outliers(self.masks)
        return arrays | ({"outliers": found} if len(found) else {})


class _Encoding:
    """A running job."""

    def __init__(self, job: EncodeJob, model: Model, outputs: Sequence[_Output]) -> None:
        self._job = job
        self._model = model
        self._forward = Forward(model, job.max_tokens, job.max_sequences)
        loaded: dict[SaeRef, LoadedSae] = {}
        for ref in dict.fromkeys(output.sae.ref for output in outputs):
            loaded[ref] = load_sae(ref, model.device)
            if loaded[ref].hook.site != "attn_z":  # as wide as all heads together, which may differ from d_model
                check_width(loaded[ref], model.d_model, job.model.name)
        self._hooks = sorted({sae.hook for sae in loaded.values()})
        self._limits = self._norm_limits()
        self._pairs = [(output, self._sae(output.sae, loaded[output.sae.ref])) for output in outputs]
        for output, sae in self._pairs:
            limit = self._limits[sae.hook]
            facts = {**loaded[output.sae.ref].fingerprint(), "random": output.sae.random}
            output.confirm(facts | ({} if limit is None else {"norm_limit": limit}))

    def run(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Make the missing shards."""
        missing = sorted(set().union(*(output.missing for output, _ in self._pairs)))
        with progress_bar(len(missing) * ROWS_PER_SHARD, f"encode {self._job.title}", "rows") as bar:
            for shard, rows in _shards(self._job.samples, missing):
                wanted = [(output, sae) for output, sae in self._pairs if shard in output.missing]
                for (output, _), codes in zip(wanted, self._shard(rows, wanted), strict=True):
                    output.write(shard, ranges[shard], codes)
                bar.update(len(rows))

    def _shard(self, rows: Sequence[TokenisedRow], wanted: Sequence[tuple[_Output, LoadedSae]]) -> list[_ShardCodes]:
        """Encode the rows of one shard with the wanted SAEs."""
        collected = [_ShardCodes() for _ in wanted]
        hooks = sorted({sae.hook for _, sae in wanted})

        def consume(batch: np.ndarray, counts: np.ndarray, states: dict[HookPoint, torch.Tensor]) -> None:
            masks = {hook: outliers(states[hook], self._limits[hook]) for hook in hooks}
            for (output, sae), codes in zip(wanted, collected, strict=True):
                mask = masks[sae.hook]
                codes.add(batch, counts, _encode(output.sae, sae, states[sae.hook], mask), mask)

        with background_calls(self._model.device) as call:
            for batch, counts, states in self._forward(rows, hooks):
                call(consume, batch, counts, states)
        return collected

    def _norm_limits(self) -> dict[HookPoint, float | None]:
        """Return hook -> norm above which a position is an outlier, from the first training rows."""
        if self._job.outlier_norm is None:
            return dict.fromkeys(self._hooks)
        medians = norm_medians(self._model, [_first_rows(self._job.samples, MEASURED_POSITIONS)], self._hooks)
        return {hook: None if m is None else self._job.outlier_norm * m for hook, m in medians.items()}

    def _sae(self, sae: CachedSae, loaded: LoadedSae) -> LoadedSae:
        """Return the SAE, or its random control, calibrated to its sparsity on the first training rows."""
        if not sae.random:
            return loaded
        rows = _first_rows(self._job.samples, CALIBRATION_POSITIONS)
        sample = torch.cat([states[loaded.hook] for _, _, states in self._forward(rows, [loaded.hook])])
        sample = without_outliers(sample, self._limits[loaded.hook])
        return random_control(loaded, sample[:CALIBRATION_POSITIONS], self._job.seed)


def _encode(sae: CachedSae, loaded: LoadedSae, hidden: torch.Tensor, mask: np.ndarray | None) -> Codes:
    """Encode hidden states [n_positions, d_in]; mask: bool [n_positions], outliers, which get no latent."""
    if hidden.shape[-1] != loaded.d_in:  # only heads' outputs, whose length is not checked earlier
        raise SaeError(
            f"{sae.ref.title} takes vectors of {loaded.d_in} values, and {loaded.hook} has {hidden.shape[-1]}"
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
