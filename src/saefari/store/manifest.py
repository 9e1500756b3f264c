"""Manifest of a folder of shards: settings, finished shards and their hashes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from saefari.errors import shown
from saefari.fingerprint import file_sha256, map_in_threads
from saefari.store.files import read_json, write_json
from saefari.store.layout import MANIFEST


@dataclass(frozen=True)
class ShardRecord:
    """Finished shard: rows [start, start + rows) of the dataset split."""

    name: str
    start: int
    rows: int
    bytes: int
    sha256: str


@dataclass
class Manifest:
    """Settings of a folder, its finished shards and, once complete, its statistics and warnings.

    settings: the requested settings; shards made with other settings are never added to the folder.
    facts: properties found during the work, such as the SAE's hook point.
    """

    kind: str
    settings: dict[str, Any]
    n_rows: int
    facts: dict[str, Any] = field(default_factory=dict)
    shards: list[ShardRecord] = field(default_factory=list)
    stats: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every row is in a finished shard."""
        return sum(shard.rows for shard in self.shards) == self.n_rows

    def add(self, shard: ShardRecord) -> None:
        """Record a shard, replacing an older one of the same name."""
        self.shards = sorted([s for s in self.shards if s.name != shard.name] + [shard], key=lambda s: s.start)

    def save(self, folder: Path) -> None:
        """Write the manifest atomically."""
        write_json(folder / MANIFEST, {**asdict(self), "complete": self.complete})

    @classmethod
    def load(cls, folder: Path) -> Manifest | None:
        """Read the folder's manifest, or None if there is none."""
        raw = read_json(folder / MANIFEST)
        if raw is None:
            return None
        raw.pop("complete", None)
        raw["shards"] = [ShardRecord(**shard) for shard in raw["shards"]]
        return cls(**raw)


@dataclass(frozen=True)
class ShardPlan:
    """Shards to write, and the reason.

    missing: indices into the shard ranges.
    conflicts: settings that differ from those of the stored shards; if there are any, nothing may be written.
    """

    missing: tuple[int, ...]
    reason: str
    conflicts: tuple[str, ...] = ()


def plan_shards(folder: Path, settings: dict[str, Any], ranges: Sequence[tuple[int, int]]) -> ShardPlan:
    """Compare the shards in a folder with the requested ones; every stored shard is verified by its hash."""
    everything = tuple(range(len(ranges)))
    manifest = Manifest.load(folder)
    if manifest is None:
        return ShardPlan(everything, "no shards yet")
    conflicts = differences(manifest.settings, settings)
    if conflicts:
        return ShardPlan(everything, "made with other settings", tuple(conflicts))
    by_start = {shard.start: shard for shard in manifest.shards}
    stored = {
        index: by_start[start]
        for index, (start, stop) in enumerate(ranges)
        if start in by_start and by_start[start].rows == stop - start
    }
    intact = dict(zip(stored, map_in_threads(partial(is_intact, folder), list(stored.values())), strict=True))
    missing = [index for index in everything if not intact.get(index)]
    damaged = [stored[index].name for index in missing if index in stored]
    if not missing:
        return ShardPlan((), "complete, every shard verified")
    reason = f"{len(ranges) - len(missing)} of {len(ranges)} shards are complete"
    if damaged:
        reason += f"; written again because missing or damaged: {', '.join(damaged)}"
    return ShardPlan(tuple(missing), reason)


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Return 'path: old -> new' for every leaf in which two settings differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted(set(old) | set(new))
        return [
            line for key in keys for line in differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)
        ]
    return [] if old == new else [f"{path}: {shown(old)} -> {shown(new)}"]


def is_intact(folder: Path, record: ShardRecord) -> bool:
    """Whether the shard exists and matches its recorded size and hash."""
    path = folder / record.name
    try:
        return path.stat().st_size == record.bytes and file_sha256(path) == record.sha256
    except OSError:
        return False
