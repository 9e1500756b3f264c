"""Folders of codes that are being made, and the codes of one shard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from saefari.errors import ConflictError
from saefari.log import logger
from saefari.models.row_order import RowOrder
from saefari.saes.encode import Codes
from saefari.store import Manifest, codes_arrays, plan_shards, write_shard


class CodesOutput:
    """A folder of codes, and which of its shards are missing."""

    def __init__(self, folder: Path, settings: dict[str, Any], n_rows: int) -> None:
        """settings: everything that shapes the codes."""
        self._folder = folder
        self._manifest = Manifest("codes", settings, n_rows)
        self.missing: frozenset[int] = frozenset()
        """Indices of the missing shards, after `inspect`."""

    def inspect(self, ranges: Sequence[tuple[int, int]], overwrite: bool) -> None:
        """Determine the missing shards. With `overwrite`, remove shards of other settings first.

        Raises ConflictError if the folder holds codes of other settings and `overwrite` is false.
        """
        plan = plan_shards(self._folder, self._manifest.settings, ranges)
        stored = Manifest.load(self._folder)
        if plan.conflicts and not overwrite:
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
            self._manifest = stored
            logger.info("%s: %s", self._folder, plan.reason)
        self.missing = frozenset(plan.missing)

    def confirm(self, facts: dict[str, Any]) -> None:
        """Record facts known only after loading. Raises ConflictError if stored shards have other facts."""
        if self._manifest.shards and self._manifest.facts != facts:
            raise ConflictError(f"{self._folder}: its shards were made with another SAE or limit; remove the folder")
        self._manifest.facts = facts

    def write(self, index: int, rows: tuple[int, int], codes: ShardCodes) -> None:
        """Write a shard, then record it."""
        self._manifest.add(write_shard(self._folder, index, rows, codes.arrays()))
        self._manifest.save(self._folder)


@dataclass
class ShardCodes:
    """Codes of one shard, collected from batches in any order."""

    order: RowOrder = field(default_factory=RowOrder)
    codes: list[sparse.csr_array] = field(default_factory=list)
    masks: list[np.ndarray | None] = field(default_factory=list)

    def add(self, rows: np.ndarray, counts: np.ndarray, codes: Codes, mask: np.ndarray | None) -> None:
        """Add a batch. codes: of the rows' concatenated positions; mask: bool [n_positions], outliers, or None."""
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
