"""Disk space per folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.pages.health.data.state import kind_of, place_of, recorded_bytes
from app.shared.data.tree import Index
from saefari.store import Layout


def disk_rows(index: Index, layout: Layout) -> list[dict[str, Any]]:
    """Megabytes of each folder of codes, rows, SAEs and results, largest first; shards by their recorded size."""
    found: list[tuple[str, str, int]] = []
    for one in index.code_sets.values():
        found.append((f"activations/{place_of(one)}", kind_of(one), recorded_bytes(one.manifest)))
    for folder in {one.samples for one in index.code_sets.values()}:
        found.append((_below(folder, layout.activations, "activations"), "rows and splits", _bytes_in(folder)))
    for sae in index.saes.values():
        if sae.folder is not None:
            found.append((_below(sae.folder, layout.saes, "saes"), "SAE", _bytes_in(sae.folder)))
    results: dict[str, int] = {}
    for folder in index.folders.values():
        place = _below(folder.parent, layout.classifications, "classifications")
        results[place] = results.get(place, 0) + _bytes_in(folder)
    found += [(place, "results", size) for place, size in results.items()]
    rows = [{"place": place, "kind": kind, "megabytes": size / 1e6} for place, kind, size in found]
    return sorted(rows, key=lambda row: -float(row["megabytes"]))


def _below(folder: Path, root: Path, name: str) -> str:
    return f"{name}/{folder.relative_to(root).as_posix()}"


def _bytes_in(folder: Path) -> int:
    """Bytes of the files directly in a folder; 0 if it does not exist."""
    try:
        return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    except OSError:
        return 0
