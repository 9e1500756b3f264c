"""State of the output tree: files compared with their records, and recorded warnings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from app.shared.data.codes import CodeSet
from app.shared.data.file_cache import written_ns
from app.shared.data.tree import Index
from saefari.errors import SaefariError, StoreError
from saefari.store import Manifest, finite_number, read_result, read_samples_record, read_split_record
from saefari.store.layout import RESULTS, SAMPLES, SAMPLES_RECORD, SPLIT, SPLIT_RECORD, Layout


@dataclass(frozen=True)
class RecordedWarning:
    """A recorded warning. where: the folder that it concerns."""

    where: str
    warning: str


@dataclass(frozen=True)
class SplitState:
    """State of a dataset split's files. rows, split: `as recorded`, `not as recorded`, `missing`, or an error.

    counts: rows per part of the split; {} if not recorded. place: folder below the activations.
    """

    place: str
    rows: str
    split: str
    counts: dict[str, int]
    warnings: list[str]


def manifest_rows(code_sets: Iterable[CodeSet]) -> list[dict[str, Any]]:
    """One row per manifest, incomplete ones first.

    outliers: positions of hidden states with a norm far above the median, in `outlier_rows` rows; None if not counted.
    """
    rows = [
        {
            "id": one.id,
            "state": one.state,
            "place": place_of(one),
            "kind": kind_of(one),
            "shards": len(one.manifest.shards),
            "rows_done": sum(shard.rows for shard in one.manifest.shards),
            "rows": one.manifest.n_rows,
            "megabytes": recorded_bytes(one.manifest) / 1e6,
            "outliers": finite_number(one.manifest.stats, "outliers"),
            "outlier_rows": finite_number(one.manifest.stats, "outlier_rows"),
            "problem": one.problem,
            "warnings": "; ".join(map(str, one.manifest.warnings)),
        }
        for one in code_sets
    ]
    return sorted(rows, key=lambda row: (row["state"] == "complete", row["place"]))


def place_of(codes: CodeSet) -> str:
    """`<model>/<dataset>/<split>/layer_<L>/<width>`."""
    return f"{codes.model}/{codes.dataset}/layer_{codes.layer}/{codes.name}"


def kind_of(codes: CodeSet) -> str:
    """Kind of a folder of shards: hidden states or codes."""
    return "hidden states" if codes.is_hidden else "codes"


def recorded_bytes(manifest: Manifest) -> int:
    """Recorded bytes of a manifest's shards."""
    return sum(shard.bytes for shard in manifest.shards)


def warnings_of_manifests(code_sets: Iterable[CodeSet]) -> list[RecordedWarning]:
    """Warnings of the extraction."""
    return [RecordedWarning(place_of(one), str(warning)) for one in code_sets for warning in one.manifest.warnings]


def warnings_of_splits(states: Iterable[SplitState]) -> list[RecordedWarning]:
    """Warnings of the division into training and test rows."""
    return [RecordedWarning(state.place, warning) for state in states for warning in state.warnings]


def warnings_of_results(index: Index) -> list[RecordedWarning]:
    """Warnings of results, and results that cannot be read. Settings of one source share them, so one is read."""
    runs: dict[str, str] = {}
    for run, folder in zip(index.results["run"], index.results["folder"], strict=True):
        if run:
            runs.setdefault(folder.rpartition("/")[0], run)
    found = []
    for source, run in runs.items():
        folder = index.folders[run]
        try:
            warnings = _warnings_of_result(folder, written_ns(folder / RESULTS))
        except (SaefariError, OSError, TypeError, AttributeError) as error:
            warnings = (f"cannot be read: {error}",)
        found += [RecordedWarning(source, warning) for warning in warnings]
    return found


@lru_cache(maxsize=1 << 14)
def _warnings_of_result(folder: Path, changed: int) -> tuple[str, ...]:
    """Read a result's warnings. `changed` invalidates the cache when the record changes."""
    return tuple(str(warning) for warning in read_result(folder).get("warnings", []))


def split_states(index: Index, layout: Layout) -> list[SplitState]:
    """State of every split with codes or hidden states; each file is hashed and compared with its record."""
    folders = sorted({one.samples for one in index.code_sets.values()})
    return [_rows_state(folder, folder.relative_to(layout.activations).as_posix()) for folder in folders]


def _rows_state(folder: Path, place: str) -> SplitState:
    rows, _ = _compared(folder, SAMPLES, SAMPLES_RECORD, _changed(folder, SAMPLES, SAMPLES_RECORD))
    split, record = _compared(folder, SPLIT, SPLIT_RECORD, _changed(folder, SPLIT, SPLIT_RECORD))
    counts, warnings = record.get("counts"), record.get("warnings")
    return SplitState(
        place,
        rows,
        split,
        counts if isinstance(counts, dict) else {},
        [str(one) for one in warnings] if isinstance(warnings, list) else [],
    )


@lru_cache(maxsize=4096)
def _compared(folder: Path, name: str, record_name: str, changed: tuple[int, ...]) -> tuple[str, dict[str, Any]]:
    """Compare a file with its record: (state, record). `changed` invalidates the cache when the files change."""
    if not (folder / record_name).exists():
        return "missing", {}
    try:
        record = (read_samples_record if name == SAMPLES else read_split_record)(folder)
    except (StoreError, KeyError, TypeError) as error:
        return f"its record cannot be read ({error})", {}
    return ("as recorded", record) if record is not None else ("not as recorded", {})


def _changed(folder: Path, *names: str) -> tuple[int, ...]:
    try:
        status = [(folder / name).stat() for name in names]
    except OSError:
        return ()
    return tuple(number for one in status for number in (one.st_mtime_ns, one.st_size))
