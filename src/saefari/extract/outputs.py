"""The output folders of an extraction, and their missing shards."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from saefari.errors import ConflictError
from saefari.extract.frozen_rows import conflict_message
from saefari.log import logger
from saefari.store import Manifest, ShardPlan, plan_shards, write_shard


@dataclass
class Output:
    """One folder of shards: hidden states of a layer, or the codes of an SAE."""

    kind: str
    folder: Path
    settings: dict[str, Any]
    n_rows: int
    decision: ShardPlan = field(init=False)
    manifest: Manifest = field(init=False)

    def inspect(self, ranges: Sequence[tuple[int, int]], overwrite: bool) -> None:
        """Determine the missing shards. With `overwrite`, remove data of other settings first.

        Raises ConflictError if the folder holds data of other settings and `overwrite` is false.
        """
        decision = plan_shards(self.folder, self.settings, ranges)
        if decision.conflicts:
            if not overwrite:
                raise ConflictError(conflict_message(self.folder, list(decision.conflicts)))
            logger.warning("%s: removed, it was made with other settings", self.folder)
            shutil.rmtree(self.folder)
            decision = plan_shards(self.folder, self.settings, ranges)
        self.decision = decision
        self.manifest = Manifest.load(self.folder) or Manifest(self.kind, self.settings, self.n_rows)

    def confirm(self, facts: dict[str, Any]) -> None:
        """Record facts known only after loading. Raises ConflictError if stored shards have other facts."""
        if self.manifest.shards and self.manifest.facts != facts:
            raise ConflictError(
                f"{self.folder}: its shards were made with {self.manifest.facts}, but this run has {facts}; "
                "remove the folder or choose another settings.base_save_dir"
            )
        self.manifest.facts = facts

    def write(self, index: int, rows: tuple[int, int], arrays: dict[str, np.ndarray]) -> None:
        """Write a shard, then record it."""
        self.manifest.add(write_shard(self.folder, index, rows, arrays))
        self.manifest.save(self.folder)


def inspect_all(outputs: Sequence[Output], ranges: Sequence[tuple[int, int]], overwrite: bool) -> list[int]:
    """Inspect every output; return the shards missing in any of them. Raises one ConflictError for all conflicts."""
    conflicts = []
    for output in outputs:
        try:
            output.inspect(ranges, overwrite)
        except ConflictError as error:
            conflicts.append(str(error))
    if conflicts:
        raise ConflictError("\n".join(conflicts))
    for output in outputs:
        if output.manifest.shards:
            logger.info("%s: %s", output.folder, output.decision.reason)
    return sorted({index for output in outputs for index in output.decision.missing})
