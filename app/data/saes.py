"""The SAEs that a tree knows: by their codes, their own folder, or explanations of their latents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.data.codes import CodeSet
from app.data.memory import Memory, short_id
from saefari.store import FoundFile, Layout, find_files
from saefari.store.files import read_json
from saefari.store.layout import SAE_QUALITY


@dataclass(frozen=True)
class Sae:
    """One SAE of one model and layer, and what the tree holds of it.

    code_sets: codes it made, one per dataset split. folder: where it lies, if it was trained in a run.
    quality: its quality.json, measured when it was trained. explanations: folder of its latents' explanations.
    """

    id: str
    model: str
    layer: int
    width: str
    code_sets: tuple[CodeSet, ...]
    folder: Path | None
    quality: dict[str, Any] | None
    explanations: Path

    @property
    def d_sae(self) -> int | None:
        """Latents, as far as the tree says."""
        return next((one.manifest.facts.get("d_sae") for one in self.code_sets), None)


def collect_saes(
    layout: Layout, code_sets: Iterable[CodeSet], memory: Memory
) -> tuple[dict[str, Sae], list[tuple[str, str]]]:
    """Every SAE by id, and what cannot be read."""
    by_sae: dict[tuple[str, int, str], list[CodeSet]] = {}
    for one in code_sets:
        if not one.is_hidden:
            by_sae.setdefault((one.model, one.layer, one.name), []).append(one)
    trained, problems = _trained(layout, memory)
    found = {}
    for key in sorted(set(by_sae) | set(trained)):
        model, layer, width = key
        relative = f"{model}/layer_{layer}/{width}"
        folder, quality = trained.get(key, (None, None))
        sae = Sae(
            short_id(relative),
            *key,
            tuple(by_sae.get(key, [])),
            folder,
            quality,
            layout.explanations / relative,
        )
        found[sae.id] = sae
    return found, problems


def _quality(file: FoundFile) -> Any:
    return read_json(file.path)


def _trained(
    layout: Layout, memory: Memory
) -> tuple[dict[tuple[str, int, str], tuple[Path, dict[str, Any]]], list[tuple[str, str]]]:
    found = {}
    problems = []
    for file in find_files(layout.saes, SAE_QUALITY):
        quality = memory.read(_quality, file)
        parts = file.relative.split("/")
        where = f"saes/{file.relative}/{SAE_QUALITY}"
        if isinstance(quality, str):
            problems.append((where, quality))
        elif len(parts) != 3 or not parts[1].removeprefix("layer_").isdigit() or not isinstance(quality, dict):
            problems.append((where, "does not lie at <model>/layer_<L>/<name>, or is no record"))
        else:
            found[parts[0], int(parts[1].removeprefix("layer_")), parts[2]] = (file.folder, quality)
    return found, problems
