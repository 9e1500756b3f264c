"""Norms above which hidden states are outliers, excluded from SAE training."""

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
from saefari.train.activation_sources import ActivationSource, ModelActivations


def norm_limits(
    multiple: float | None,
    source: ActivationSource,
    hooks: Sequence[HookPoint],
    samples: Sequence[Path],
    model: dict[str, str],
) -> dict[HookPoint, float | None]:
    """Return the limit at each hook point: `multiple` times the median norm; None = no outliers.

    samples: folders of the source's rows; none for a corpus. model: see `model_settings`.
    For samples, uses the stored medians, the smallest of several datasets; for a corpus, the median of its first
    contexts. Raises DataError if a median is not stored.
    """
    if multiple is None:
        return dict.fromkeys(hooks)
    if samples:
        medians = {hook: _smallest_stored_median(hook, samples, model) for hook in hooks}
    else:
        assert isinstance(source, ModelActivations)
        medians = norm_medians(source.forward.model, [_first_rows(source)], hooks)
    return {hook: None if median is None else multiple * median for hook, median in medians.items()}


def _first_rows(source: ModelActivations) -> list[Row]:
    """Return the first training rows with at least `MEASURED_POSITIONS` positions in total."""
    rows: list[Row] = []
    total = 0
    for row in cast(Iterator[Row], source.rows.training(0)):
        rows.append(row)
        total += len(row.valid)
        if total >= MEASURED_POSITIONS:
            break
    return rows


def _smallest_stored_median(hook: HookPoint, samples: Sequence[Path], model: dict[str, str]) -> float | None:
    """Return the smallest median stored beside the samples; None if no position counts."""
    medians = []
    for folder in samples:
        record = read_samples_record(folder) or {}
        settings = {"model": model, "samples": record.get("sha256"), "hook": hook.name}
        found, median = read_median_norm(folder, hook.layer, settings)
        if not found:
            raise DataError(f"{folder}: the median norm of layer {hook.layer} is missing: run the extraction again")
        medians.append(median)
    return min((median for median in medians if median is not None), default=None)
