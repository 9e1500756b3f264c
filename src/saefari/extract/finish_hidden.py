"""Statistics and warnings of a layer's hidden states, once its shards are complete."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from saefari.extract.outputs import Output
from saefari.log import logger
from saefari.store import iter_arrays, iter_position_counts

MANY_OUTLIERS = 0.02
"""Share of outliers above which a warning is given."""


def finish_hidden(outputs: Sequence[Output], samples: Path) -> None:
    """Count the rows without a position to pool, and the outliers, of every complete output.

    Reads only the shards, so that the next run completes what an interrupted one left out.
    """
    pending = [output for output in outputs if output.manifest.complete and not output.manifest.stats]
    if not pending:
        return
    counts = list(iter_position_counts(samples))
    for output in pending:
        output.manifest.stats = stats = _stats(output, counts)
        output.manifest.warnings = _warnings(stats, output.settings.get("outlier_norm"))
        for warning in output.manifest.warnings:
            logger.warning("%s: %s", output.folder, warning)
        output.manifest.save(output.folder)


def _stats(output: Output, counts: Sequence[np.ndarray]) -> dict[str, int]:
    """Return empty_rows (pooled states all zero) and, if outliers are stored, positions, outliers, outlier_rows."""
    if output.settings.get("outlier_norm") is None:
        return {"empty_rows": sum(int((lengths == 0).sum()) for lengths in counts)}
    stats = {"empty_rows": 0, "positions": 0, "outliers": 0, "outlier_rows": 0}
    for (_, arrays), lengths in zip(iter_arrays(output.folder, "outliers"), counts, strict=True):
        found = arrays.get("outliers", np.zeros(0, np.int64))
        rows = np.searchsorted(np.cumsum(lengths), found, side="right")
        n_outliers = np.bincount(rows, minlength=len(lengths))
        stats["empty_rows"] += int((n_outliers == lengths).sum())
        stats["positions"] += int(lengths.sum())
        stats["outliers"] += len(found)
        stats["outlier_rows"] += int((n_outliers > 0).sum())
    return stats


def _warnings(stats: dict[str, Any], multiple: float | None) -> list[str]:
    warnings = []
    if empty := stats["empty_rows"]:
        warnings.append(f"{empty} rows have no position that counts: their features are all zero")
    if stats.get("outliers", 0) > MANY_OUTLIERS * stats.get("positions", 0):
        found, total, rows = (stats[name] for name in ("outliers", "positions", "outlier_rows"))
        warnings.append(
            f"{found:,} of {total:,} positions ({found / total:.1%}, in {rows:,} rows) have a norm above {multiple:g} "
            "times the median and are left out: to include them, raise settings.outlier_norm or set it to null"
        )
    return warnings
