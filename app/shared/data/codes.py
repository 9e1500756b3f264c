"""Folders of codes and hidden states: their SAE or layer, and whether they are complete."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from app.shared.data.file_cache import FileCache, short_id
from saefari.names import HIDDEN
from saefari.store import FoundFile, Layout, Manifest, find_files
from saefari.store.layout import MANIFEST

State = Literal["complete", "partial", "damaged"]
_LAYER = "layer_"


@dataclass(frozen=True)
class CodeSet:
    """Codes of one SAE, or hidden states of one layer, for one dataset split and model.

    model: the model's folder name. dataset: `<dataset>[/<config>]/<split>`. name: the SAE's width, or `hidden`.
    state: complete = every row is in a shard of the recorded size; damaged = a recorded shard is missing or has
    another size.
    """

    id: str
    folder: Path
    model: str
    dataset: str
    layer: int
    name: str
    manifest: Manifest
    state: State
    problem: str

    @property
    def samples(self) -> Path:
        """Folder of the dataset rows."""
        return self.folder.parent.parent

    @property
    def is_hidden(self) -> bool:
        return self.name == HIDDEN


def find_code_sets(layout: Layout, cache: FileCache) -> tuple[dict[str, CodeSet], list[tuple[str, str]]]:
    """Find every folder with a manifest, by id, and list the manifests that cannot be read."""
    found: dict[str, CodeSet] = {}
    problems = []
    for file in find_files(layout.activations, MANIFEST):
        manifest = cache.read(_manifest, file)
        where = f"activations/{file.relative}/{file.name}"
        parts = file.relative.split("/")
        if isinstance(manifest, str):
            problems.append((where, manifest))
        elif manifest is None or len(parts) < 5 or not parts[-2].removeprefix(_LAYER).isdigit():
            problems.append((where, "is not at <model>/<dataset>/<split>/layer_<L>/<width>"))
        else:
            one = _code_set(file, parts, manifest)
            found[one.id] = one
    return found, problems


def _manifest(file: FoundFile) -> Manifest | None:
    return Manifest.load(file.folder)


def _code_set(file: FoundFile, parts: list[str], manifest: Manifest) -> CodeSet:
    damaged = [shard.name for shard in manifest.shards if _size(file.folder / shard.name) != shard.bytes]
    state: State = "damaged" if damaged else "complete" if manifest.complete else "partial"
    done = sum(shard.rows for shard in manifest.shards)
    problem = {
        "damaged": f"missing, or not of the recorded size: {', '.join(damaged[:3])}" + " …" * (len(damaged) > 3),
        "partial": f"{done:,} of {manifest.n_rows:,} rows are done",
        "complete": "",
    }[state]
    return CodeSet(
        short_id(file.relative),
        file.folder,
        parts[0],
        "/".join(parts[1:-2]),
        int(parts[-2].removeprefix(_LAYER)),
        parts[-1],
        manifest,
        state,
        problem,
    )


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
