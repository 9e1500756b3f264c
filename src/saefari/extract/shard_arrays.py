"""Collect the batches of one shard, in any order, into arrays in row order."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse

from saefari.errors import ModelError
from saefari.models.hooks import HookPoint
from saefari.models.row_order import RowOrder
from saefari.saes.encode import Codes
from saefari.saes.quality import Quality
from saefari.store import codes_arrays, compact_states

_FLOAT16_MAX = float(np.finfo(np.float16).max)


def pool(hidden: torch.Tensor, counts: torch.Tensor) -> dict[str, torch.Tensor]:
    """Pool each row by mean and by last position; hidden: [n_positions, d], counts: int64 [n_rows].

    Returns {'last', 'mean'}: [n_rows, d]; a row without positions gives zeros.
    """
    mean = torch.segment_reduce(hidden, "mean", lengths=counts, axis=0, initial=0)
    mean = torch.where(counts[:, None] > 0, mean, torch.zeros_like(mean))
    ends = (counts.cumsum(0) - 1).clamp(min=0)
    last = hidden[ends] if len(hidden) else torch.zeros_like(mean)
    return {"last": torch.where(counts[:, None] > 0, last, torch.zeros_like(last)), "mean": mean}


def pool_without_outliers(
    hidden: torch.Tensor, counts: np.ndarray, outlier_mask: np.ndarray | None
) -> dict[str, torch.Tensor]:
    """Pool as `pool` without outliers; outlier_mask: bool [n_positions], None = no outliers."""
    if outlier_mask is not None:
        hidden, counts = (
            hidden[torch.from_numpy(~outlier_mask).to(hidden.device)],
            counts_without_outliers(counts, outlier_mask),
        )
    return pool(hidden, torch.from_numpy(counts).to(hidden.device))


def counts_without_outliers(counts: np.ndarray, outlier_mask: np.ndarray) -> np.ndarray:
    """Count each row's positions that are no outliers; counts: int64 [n_rows], outlier_mask: bool [n_positions]."""
    cumulative = np.concatenate([[0], np.cumsum(~outlier_mask)])
    ends = np.cumsum(counts)
    kept: np.ndarray = cumulative[ends] - cumulative[ends - counts]
    return kept


class HiddenArrays:
    """A collector of one hook point's hidden states; `arrays()` is the content of a hidden shard."""

    def __init__(self, hook: HookPoint, keep_positions: bool, store_outliers: bool = False) -> None:
        """store_outliers: include the indices of outliers."""
        self._hook = hook
        self._keep = keep_positions
        self._store_outliers = store_outliers
        self._outlier_masks: list[np.ndarray | None] = []
        self._order = RowOrder()
        self._pooled: dict[str, list[np.ndarray]] = {"last": [], "mean": []}
        self._positions: list[np.ndarray] = []

    def add(
        self, rows: np.ndarray, counts: np.ndarray, hidden: torch.Tensor, outlier_mask: np.ndarray | None = None
    ) -> None:
        """Add a batch. hidden: float32 [n_positions, d_model], the rows' concatenated positions.

        outlier_mask: bool [n_positions], positions that are not pooled; None = no outliers.
        """
        self._order.add(rows, counts)
        self._outlier_masks.append(outlier_mask)
        for how, pooled in pool_without_outliers(hidden, counts, outlier_mask).items():
            self._pooled[how].append(pooled.cpu().numpy())
        if self._keep:
            self._positions.append(self._as_float16(hidden))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the shard's arrays in row order."""
        order = self._order.rows()
        result = {f"pooled_{how}": compact_states(np.concatenate(parts)[order]) for how, parts in self._pooled.items()}
        if self._keep:
            result["positions"] = np.concatenate(self._positions)[self._order.positions()]
            result["offsets"] = self._order.offsets()
        if self._store_outliers:
            result["outliers"] = self._order.outliers(self._outlier_masks)
        return result

    def _as_float16(self, hidden: torch.Tensor) -> np.ndarray:
        largest = float(hidden.abs().max()) if hidden.numel() else 0.0
        if not largest <= _FLOAT16_MAX:
            raise ModelError(
                f"{self._hook.name}: a hidden state of {largest:.3g} exceeds the range of float16, in which positions "
                "are stored; use settings.act_only: false and settings.store_positions: false"
            )
        return hidden.to(torch.float16).cpu().numpy()


class CodesArrays:
    """A collector of one SAE's codes and quality; `arrays()` is the content of a codes shard."""

    def __init__(self, store_outliers: bool = False) -> None:
        """store_outliers: include the indices of outliers."""
        self._order = RowOrder()
        self._store_outliers = store_outliers
        self._outlier_masks: list[np.ndarray | None] = []
        self._codes: list[sparse.csr_array] = []
        self._quality: Quality | None = None
        self._d_sae = 0

    def add(
        self,
        rows: np.ndarray,
        counts: np.ndarray,
        codes: Codes,
        quality: Quality,
        outlier_mask: np.ndarray | None = None,
    ) -> None:
        """Add a batch. codes: [n_positions, d_sae], the rows' concatenated positions; quality: without outliers.

        outlier_mask: bool [n_positions]; None = no outliers.
        """
        self._order.add(rows, counts)
        self._outlier_masks.append(outlier_mask)
        self._codes.append(codes.to_csr())
        self._quality = quality if self._quality is None else self._quality.merge(quality)
        self._d_sae = codes.d_sae

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the shard's arrays in row order, and its quality statistics as `stat_*`."""
        codes = sparse.vstack(self._codes, format="csr")[self._order.positions()]
        arrays = codes_arrays(codes.indptr, codes.indices, codes.data, self._order.offsets(), self._d_sae)
        if self._store_outliers:
            arrays["outliers"] = self._order.outliers(self._outlier_masks)
        assert self._quality is not None
        return arrays | {f"stat_{name}": value for name, value in self._quality.to_arrays().items()}
