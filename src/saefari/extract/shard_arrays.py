"""Gather the batches of one shard, in any order, into its arrays, in row order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy import sparse

from saefari.errors import ModelError
from saefari.models.hooks import HookPoint
from saefari.saes.encode import Codes
from saefari.saes.quality import Quality
from saefari.store import codes_arrays, compact_states
from saefari.store.shards import no_outliers

_FLOAT16_MAX = float(np.finfo(np.float16).max)


def pool(hidden: torch.Tensor, counts: torch.Tensor) -> dict[str, torch.Tensor]:
    """Mean and last position of each row: hidden [n_positions, d], counts int64 [n_rows].

    Returns {'last', 'mean'}: [n_rows, d]; a row without positions is all zeros.
    """
    mean = torch.segment_reduce(hidden, "mean", lengths=counts, axis=0, initial=0)
    mean = torch.where(counts[:, None] > 0, mean, torch.zeros_like(mean))
    ends = (counts.cumsum(0) - 1).clamp(min=0)
    last = hidden[ends] if len(hidden) else torch.zeros_like(mean)
    return {"last": torch.where(counts[:, None] > 0, last, torch.zeros_like(last)), "mean": mean}


def pool_ordinary(hidden: torch.Tensor, counts: np.ndarray, above: np.ndarray | None) -> dict[str, torch.Tensor]:
    """As `pool`, of the positions that are no outliers: above bool [n_positions], None = all."""
    if above is not None:
        hidden, counts = hidden[torch.from_numpy(~above).to(hidden.device)], split_counts(counts, above)
    return pool(hidden, torch.from_numpy(counts).to(hidden.device))


def spread(codes: Codes, above: np.ndarray) -> Codes:
    """Codes of all positions, bool [n], from those of the positions that are not `above`; these get no latent."""
    active = np.zeros(len(above), dtype=np.int64)
    active[~above] = np.diff(codes.indptr)
    return replace(codes, indptr=np.concatenate([[0], np.cumsum(active)]))


def split_counts(counts: np.ndarray, above: np.ndarray) -> np.ndarray:
    """Positions of each row that are not `above`: counts int64 [n_rows], above bool [n_positions]."""
    below = np.concatenate([[0], np.cumsum(~above)])
    ends = np.cumsum(counts)
    kept: np.ndarray = below[ends] - below[ends - counts]
    return kept


class _InRowOrder:
    """Row numbers and position counts of the batches seen, and the permutation that sorts them."""

    def __init__(self) -> None:
        self._rows: list[np.ndarray] = []
        self._counts: list[np.ndarray] = []

    def add(self, rows: np.ndarray, counts: np.ndarray) -> None:
        self._rows.append(rows)
        self._counts.append(counts)

    def rows(self) -> np.ndarray:
        order: np.ndarray = np.argsort(np.concatenate(self._rows), kind="stable")
        return order

    def offsets(self) -> np.ndarray:
        counts = np.concatenate(self._counts)[self.rows()]
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def positions(self) -> np.ndarray:
        """Indices that bring the positions, stacked batch by batch, into row order."""
        counts = np.concatenate(self._counts)
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        order = self.rows()
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts[order]) - counts[order], counts[order])
        places: np.ndarray = np.repeat(starts[order], counts[order]) + within
        return places

    def outliers(self, above: list[np.ndarray | None]) -> np.ndarray:
        """Ascending indices, once in row order, of the positions that are outliers in the batches."""
        if all(part is None for part in above):
            return no_outliers()
        sizes = [int(counts.sum()) for counts in self._counts]
        parts = [np.zeros(n, bool) if part is None else part for n, part in zip(sizes, above, strict=True)]
        found: np.ndarray = np.flatnonzero(np.concatenate(parts)[self.positions()])
        return found


class HiddenArrays:
    """Collects one hook point's hidden states; `arrays()` is the content of a hidden shard."""

    def __init__(self, hook: HookPoint, keep_positions: bool, tell_outliers: bool = False) -> None:
        """tell_outliers: store which positions are outliers."""
        self._hook = hook
        self._keep = keep_positions
        self._tell = tell_outliers
        self._above: list[np.ndarray | None] = []
        self._order = _InRowOrder()
        self._pooled: dict[str, list[np.ndarray]] = {"last": [], "mean": []}
        self._positions: list[np.ndarray] = []

    def add(self, rows: np.ndarray, counts: np.ndarray, hidden: torch.Tensor, above: np.ndarray | None = None) -> None:
        """hidden: [n_positions, d_model] float32, the rows' positions one after the other.

        above: bool [n_positions], the outliers, which are not pooled; None = there are none.
        """
        self._order.add(rows, counts)
        self._above.append(above)
        for how, pooled in pool_ordinary(hidden, counts, above).items():
            self._pooled[how].append(pooled.cpu().numpy())
        if self._keep:
            self._positions.append(self._as_float16(hidden))

    def arrays(self) -> dict[str, np.ndarray]:
        """The shard's arrays in row order."""
        order = self._order.rows()
        result = {f"pooled_{how}": compact_states(np.concatenate(parts)[order]) for how, parts in self._pooled.items()}
        if self._keep:
            result["positions"] = np.concatenate(self._positions)[self._order.positions()]
            result["offsets"] = self._order.offsets()
        if self._tell:
            result["outliers"] = self._order.outliers(self._above)
        return result

    def _as_float16(self, hidden: torch.Tensor) -> np.ndarray:
        largest = float(hidden.abs().max()) if hidden.numel() else 0.0
        if not largest <= _FLOAT16_MAX:
            raise ModelError(
                f"{self._hook.name}: a hidden state of {largest:.3g} does not fit the float16 in which positions are "
                "stored; use settings.act_only: false and settings.store_positions: false"
            )
        return hidden.to(torch.float16).cpu().numpy()


class CodesArrays:
    """Collects one SAE's codes and their quality; `arrays()` is the content of a codes shard."""

    def __init__(self, tell_outliers: bool = False) -> None:
        """tell_outliers: store which positions are outliers."""
        self._order = _InRowOrder()
        self._tell = tell_outliers
        self._above: list[np.ndarray | None] = []
        self._codes: list[sparse.csr_array] = []
        self._quality: Quality | None = None
        self._d_sae = 0

    def add(
        self,
        rows: np.ndarray,
        counts: np.ndarray,
        codes: Codes,
        quality: Quality,
        above: np.ndarray | None = None,
    ) -> None:
        """codes: [n_positions, d_sae], the rows' positions one after the other; quality: of those not `above`.

        above: bool [n_positions], the outliers; None = there are none.
        """
        self._order.add(rows, counts)
        self._above.append(above)
        self._codes.append(codes.to_csr())
        self._quality = quality if self._quality is None else self._quality.merge(quality)
        self._d_sae = codes.d_sae

    def arrays(self) -> dict[str, np.ndarray]:
        """The shard's arrays in row order, and the statistics of its positions as `stat_*`."""
        codes = sparse.vstack(self._codes, format="csr")[self._order.positions()]
        arrays = codes_arrays(codes.indptr, codes.indices, codes.data, self._order.offsets(), self._d_sae)
        if self._tell:
            arrays["outliers"] = self._order.outliers(self._above)
        assert self._quality is not None
        return arrays | {f"stat_{name}": value for name, value in self._quality.to_arrays().items()}
