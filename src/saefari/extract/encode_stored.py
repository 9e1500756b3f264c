"""Encode stored positions without the model, so that an `act_only` tree can be classified."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from saefari.errors import ConflictError
from saefari.extract.job import ExtractJob
from saefari.extract.outputs import inspect_all
from saefari.extract.sae_bank import (
    CALIBRATION_POSITIONS,
    CodesEncoder,
    SaeBank,
    codes_output,
    finish_codes,
)
from saefari.extract.shard_arrays import CodesArrays
from saefari.log import progress_bar
from saefari.store import HiddenShard, Manifest, hidden_folder, iter_hidden_positions, read_split, shard_ranges

_ROWS_PER_BATCH = 256


def run_encode(job: ExtractJob) -> list[str]:
    """Encode the missing codes of the job's cells from its stored positions. Returns warnings.

    Raises StoreError if positions are missing or altered, ConflictError if codes of other settings exist.
    """
    warnings: list[str] = []
    for layer in sorted({cell.ref.layer for cell in job.cells}):
        warnings += _encode_layer(job, layer)
    return warnings


def _encode_layer(job: ExtractJob, layer: int) -> list[str]:
    folder = hidden_folder(job.samples, layer)
    manifest = Manifest.load(folder)
    cells = [cell for cell in job.cells if cell.ref.layer == layer]
    if manifest is None or not cells:
        next(iter_hidden_positions(folder), None)  # raises StoreError with what is missing and what to run
        return []
    shared = {key: value for key, value in manifest.settings.items() if key not in ("hook", "positions")}
    limit = manifest.facts.get("norm_limit")
    outputs = [codes_output(job, manifest.n_rows, cell, shared) for cell in cells]
    ranges = shard_ranges(manifest.n_rows)
    missing = inspect_all(outputs, ranges, job.overwrite)
    if missing:
        bank = SaeBank(job.model.device)
        hook = bank.hooks(cells, bank.load(cells[0].ref).d_in, job.model.name)[layer].name
        if hook != manifest.facts["hook"]:
            raise ConflictError(
                f"{folder} holds the activations of {manifest.facts['hook']}, but the SAE reads {hook}: "
                "extract again with another settings.base_save_dir"
            )
        encoders = [
            CodesEncoder(cell, output, bank.load(cell.ref), limit)
            for cell, output in zip(cells, outputs, strict=True)
            if output.decision.missing
        ]
        _calibrate(job, layer, encoders)
        _encode_shards(job, layer, encoders, ranges, missing, limit is not None)
    for cell, output in zip(cells, outputs, strict=True):
        finish_codes(output, cell)
    return [warning for output in outputs for warning in output.manifest.warnings]


def _encode_shards(
    job: ExtractJob,
    layer: int,
    encoders: Sequence[CodesEncoder],
    ranges: Sequence[tuple[int, int]],
    missing: Sequence[int],
    store_outliers: bool,
) -> None:
    with progress_bar(ranges[-1][1], f"encode {job.title} layer {layer}", "rows") as bar:
        for index, shard in enumerate(iter_hidden_positions(hidden_folder(job.samples, layer))):
            if index in missing:
                for encoder in (encoder for encoder in encoders if encoder.needs(index)):
                    arrays = CodesArrays(store_outliers)
                    for rows, counts, hidden, outlier_mask in _batches(shard):
                        encoder.encode(arrays, rows, counts, hidden.to(job.model.device), outlier_mask)
                    encoder.output.write(index, ranges[index], arrays.arrays())
            bar.update(len(shard.offsets) - 1)


def _batches(shard: HiddenShard) -> Iterator[tuple[np.ndarray, np.ndarray, torch.Tensor, np.ndarray | None]]:
    """Yield (rows, positions per row, states float32 [n_positions, d_model], outliers bool or None) in batches."""
    n_rows = len(shard.offsets) - 1
    outliers = np.zeros(len(shard.positions), dtype=bool)
    outliers[shard.outliers] = True
    for start in range(0, n_rows, _ROWS_PER_BATCH):
        rows = np.arange(start, min(start + _ROWS_PER_BATCH, n_rows))
        first, last = shard.offsets[rows[0]], shard.offsets[rows[-1] + 1]
        counts = np.diff(shard.offsets)[rows]
        mask = outliers[first:last]
        yield rows, counts, torch.from_numpy(shard.positions[first:last]).float(), mask if mask.any() else None


def _calibrate(job: ExtractJob, layer: int, encoders: Sequence[CodesEncoder]) -> None:
    """Calibrate the random controls to the sparsity of their SAEs on stored positions of training rows."""
    controls = [encoder for encoder in encoders if encoder.cell.random]
    if not controls:
        return
    training = read_split(job.calibration) == 0
    parts: list[torch.Tensor] = []
    for shard in iter_hidden_positions(hidden_folder(job.calibration, layer)):
        counts = np.diff(shard.offsets)
        mask = np.repeat(training[shard.start : shard.start + len(counts)], counts)
        mask[shard.outliers] = False
        parts.append(torch.from_numpy(shard.positions[mask]).float())
        if sum(map(len, parts)) >= CALIBRATION_POSITIONS:
            break
    for encoder in controls:
        encoder.calibrate(torch.cat(parts)[:CALIBRATION_POSITIONS].to(job.model.device), job.seed)
