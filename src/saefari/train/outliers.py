"""Norms above which hidden states are outliers that no SAE learns from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

from saefari.errors import DataError
from saefari.models.forward import Row
from saefari.models.hooks import HookPoint
from saefari.models.norms import MEASURED_POSITIONS, norm_medians
from saefari.store import read_samples_record
from saefari.store.median_norm import read_median_norm
from saefari.train.activation_sources import FromModel, Source


def norm_limits(
    multiple: float | None, source: Source, hooks: Sequence[HookPoint], samples: Sequence[Path], model: dict[str, str]
) -> dict[HookPoint, float | None]:
    """The limit at each hook point: `multiple` times the median norm; None = there are no outliers.

    samples: the folders that the source's rows are of; none of a corpus. model: see `model_settings`.
    Of rows the medians that are stored beside their samples, of several datasets the smallest; of a corpus that of its
    first contexts. Raises DataError where one is not stored.
    """
    if multiple is None:
        return dict.fromkeys(hooks)
    if samples:
        medians = {hook: _stored(hook, samples, model) for hook in hooks}
    else:
        assert isinstance(source, FromModel)
        medians = norm_medians(source.forward.model, [_first(source)], hooks)
    return {hook: None if median is None else multiple * median for hook, median in medians.items()}


def _first(source: FromModel) -> list[Row]:
    """Rows from the start of the training data, of `MEASURED_POSITIONS` positions or a few more."""
    rows: list[Row] = []
    total = 0
    for row in cast(Iterator[Row], source.rows.training(0)):
        rows.append(row)
        total += len(row.valid)
        if total >= MEASURED_POSITIONS:
            break
    return rows


def _stored(hook: HookPoint, samples: Sequence[Path], model: dict[str, str]) -> float | None:
    """The smallest of the medians beside the samples; None where no position of any counts."""
    medians = []
    for folder in samples:
        record = read_samples_record(folder) or {}
        settings = {"model": model, "samples": record.get("sha256"), "hook": hook.name}
        there, median = read_median_norm(folder, hook.layer, settings)
        if not there:
            raise DataError(f"{folder}: the median norm of layer {hook.layer} is not there: run the extraction again")
        medians.append(median)
    return min((median for median in medians if median is not None), default=None)
