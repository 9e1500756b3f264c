"""Run an extraction: one forward pass over a dataset split for all layers and SAEs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch

from saefari.errors import DataError, SaeError
from saefari.extract.finish_hidden import finish_hidden
from saefari.extract.job import ExtractJob
from saefari.extract.model_inputs import Window, rows_to_calibrate, rows_to_extract
from saefari.extract.norm_limits import norm_limits
from saefari.extract.outputs import Output, inspect_all
from saefari.extract.sae_bank import (
    CALIBRATION_POSITIONS,
    CodesEncoder,
    SaeBank,
    codes_output,
    finish_codes,
    limit_fact,
    refs_by_layer,
)
from saefari.extract.shard_arrays import CodesArrays, HiddenArrays
from saefari.log import logger, progress_bar
from saefari.models.background_calls import background_calls
from saefari.models.forward import Forward, Model
from saefari.models.hooks import HookPoint
from saefari.models.norms import outliers, without_outliers
from saefari.models.text_model import TextModel
from saefari.models.tokenizer import bos_change
from saefari.saes.prepend_bos import disagreement
from saefari.store import hidden_folder, read_samples_record, shard_ranges

_WRITERS = 4  # threads that compress and write a shard's files


def run_extract(job: ExtractJob, model: Callable[[], Model]) -> list[str]:
    """Run the job. Returns warnings.

    model: loads the model; called only if something is missing. Raises ConflictError if the store holds data of other
    settings, StoreError if it cannot be written.
    """
    record = read_samples_record(job.samples)
    if record is None:
        raise DataError(f"{job.samples}: the samples are missing or damaged; run the extraction again")
    n_rows = record["n_rows"]
    ranges = shard_ranges(n_rows)
    shared = _shared_settings(job, record)
    hidden = _hidden_outputs(job, n_rows, shared)
    codes = [codes_output(job, n_rows, cell, shared) for cell in job.coded_cells]
    missing = inspect_all([*hidden.values(), *codes], ranges, job.overwrite)
    if missing:
        _Extraction(job, model(), hidden, codes).run(missing, ranges)
    for cell, output in zip(job.coded_cells, codes, strict=True):
        finish_codes(output, cell)
    finish_hidden(list(hidden.values()), job.samples)
    return [warning for output in (*hidden.values(), *codes) for warning in output.manifest.warnings]


def _shared_settings(job: ExtractJob, samples: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that shape all outputs; samples: the samples' record.

    `prepend_bos` and `outlier_norm` are included only if set.
    """
    optional = {"prepend_bos": samples["settings"].get("prepend_bos"), "outlier_norm": job.outlier_norm}
    given = {name: value for name, value in optional.items() if value is not None}
    return {"model": job.model.settings(), "samples": samples["sha256"], **given}


def _hidden_outputs(job: ExtractJob, n_rows: int, shared: dict[str, Any]) -> dict[int, Output]:
    keep_positions = job.store_positions or not job.encode
    hooks = {cell.ref.layer: cell.ref.hook for cell in job.cells}
    return {
        layer: Output(
            "hidden", hidden_folder(job.samples, layer), {**shared, "hook": hook, "positions": keep_positions}, n_rows
        )
        for layer, hook in sorted(hooks.items())
    }


class _Extraction:
    """A running job: forward passes, each followed by encoding, pooling and writing."""

    def __init__(self, job: ExtractJob, model: Model, hidden: dict[int, Output], codes: Sequence[Output]) -> None:
        self._job = job
        self._model = model
        self._forward = Forward(model, job.max_tokens, job.max_sequences)
        self._hidden = hidden
        bank = SaeBank(model.device)
        self._hooks = bank.hooks(job.cells, model.d_model, job.model.name)
        _check_bos(job, bank, model)
        self._limits = norm_limits(job, self._hooks, lambda: model)
        for layer, output in hidden.items():
            output.confirm({"hook": self._hooks[layer].name, **limit_fact(self._limits[layer])})
        self._encoders = [
            CodesEncoder(cell, output, bank.load(cell.ref), self._limits[cell.ref.layer])
            for cell, output in zip(job.coded_cells, codes, strict=True)
            if output.decision.missing
        ]

    def run(self, missing: Sequence[int], ranges: Sequence[tuple[int, int]]) -> None:
        """Make the missing shards. On a GPU, compute the next shard while one is compressed and written."""
        self._calibrate_controls()
        done = sum(stop - start for i, (start, stop) in enumerate(ranges) if i not in set(missing))
        if done:
            logger.info("%s: resuming at row %s of %s", self._job.title, f"{done:,}", f"{ranges[-1][1]:,}")
        with (
            progress_bar(ranges[-1][1], f"extract {self._job.title}", "rows", initial=done) as bar,
            ThreadPoolExecutor(_WRITERS) as writers,
        ):
            writing: list[Future[None]] = []
            for shard, windows in rows_to_extract(self._job).windows(missing):
                writes = self._shard(shard, ranges[shard], windows, bar)
                _wait(writing)
                writing = [writers.submit(write) for write in writes]
                if self._model.device.type == "cpu":
                    _wait(writing)  # on a CPU, writing and computing in parallel is slower
            _wait(writing)

    def _shard(
        self, shard: int, rows: tuple[int, int], windows: Iterator[Window], bar: Any
    ) -> list[Callable[[], None]]:
        """Compute a shard; return a function per output that sorts, compresses and writes it."""
        encoders = [encoder for encoder in self._encoders if encoder.needs(shard)]
        has_limit = {layer: limit is not None for layer, limit in self._limits.items()}
        collected = [CodesArrays(has_limit[encoder.cell.ref.layer]) for encoder in encoders]
        hidden = {
            layer: HiddenArrays(self._hooks[layer], output.settings["positions"], has_limit[layer])
            for layer, output in self._hidden.items()
            if shard in output.decision.missing
        }
        layers = {encoder.cell.ref.layer for encoder in encoders} | set(hidden)

        def consume(batch: np.ndarray, counts: np.ndarray, states: dict[HookPoint, torch.Tensor]) -> None:
            masks = {layer: outliers(states[self._hooks[layer]], self._limits[layer]) for layer in layers}
            for layer, arrays in hidden.items():
                arrays.add(batch, counts, states[self._hooks[layer]], masks[layer])
            for encoder, codes in zip(encoders, collected, strict=True):
                encoder.encode(codes, batch, counts, states[encoder.hook], masks[encoder.cell.ref.layer])
            bar.update(len(batch))

        with background_calls(self._model.device) as call:
            for indices, read in windows:
                for batch, counts, states in self._forward(read, [self._hooks[layer] for layer in sorted(layers)]):
                    call(consume, indices[batch], counts, states)
        filled: list[tuple[Output, HiddenArrays | CodesArrays]] = [
            *((self._hidden[layer], arrays) for layer, arrays in hidden.items()),
            *((encoder.output, codes) for encoder, codes in zip(encoders, collected, strict=True)),
        ]
        return [partial(_write, output, shard, rows, arrays) for output, arrays in filled]

    def _calibrate_controls(self) -> None:
        """Calibrate the random controls to the sparsity of their SAEs on positions of training rows."""
        controls = [encoder for encoder in self._encoders if encoder.cell.random]
        if not controls:
            return
        hooks = sorted({encoder.hook for encoder in controls})
        windows = rows_to_calibrate(self._job).training(CALIBRATION_POSITIONS)
        batches = [states for window in windows for _, _, states in self._forward(window, hooks)]
        for encoder in controls:
            sample = torch.cat([states[encoder.hook] for states in batches])
            sample = without_outliers(sample, self._limits[encoder.cell.ref.layer])
            encoder.calibrate(sample[:CALIBRATION_POSITIONS], self._job.seed)


def _write(output: Output, shard: int, rows: tuple[int, int], arrays: HiddenArrays | CodesArrays) -> None:
    output.write(shard, rows, arrays.arrays())


def _wait(writing: Sequence[Future[None]]) -> None:
    """Wait until all are written; raise the first exception."""
    for future in writing:
        future.result()


def _check_bos(job: ExtractJob, bank: SaeBank, model: Model) -> None:
    """Raise SaeError if `prepend_bos` differs between SAEs or from the stored texts, where the plan could not tell."""
    if not job.bos_unknown or not isinstance(model, TextModel):
        return
    pretrained = refs_by_layer([cell for cell in job.cells if not cell.trained])
    prepend_bos = {ref: bank.load(ref).sae.cfg.metadata.prepend_bos for ref in pretrained}
    if message := disagreement(prepend_bos):
        raise SaeError(message)
    stored = (read_samples_record(job.samples) or {}).get("settings", {}).get("prepend_bos")
    tokenizer = model.tokenizer.tokenizer
    for ref, wanted in prepend_bos.items():
        if wanted is None or (wanted and tokenizer.bos_token_id is None):
            continue
        if bos_change(tokenizer, wanted) != stored:
            raise SaeError(
                f"{ref.title} was trained {'with' if wanted else 'without'} BOS before every text, but the stored "
                f"texts differ: set add_bos: {str(wanted).lower()} for this model and add --overwrite"
            )
