"""The SAEs of a tree, found by their codes or their own folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.shared.data.codes import CodeSet
from app.shared.data.file_cache import FileCache, short_id
from saefari.store import Layout, TrainedSae, find_trained, read_trained
from saefari.store.layout import SAE_QUALITY


@dataclass(frozen=True)
class Sae:
    """One SAE of one model and layer.

    code_sets: its codes, one per dataset split. folder: its own folder if it was trained in a run.
    quality: quality.json, measured in training. explanations: folder of its latents' explanations.
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
        """Number of latents; None if the tree does not record it."""
        return next((one.manifest.facts.get("d_sae") for one in self.code_sets), None)


def collect_saes(
    layout: Layout, code_sets: Iterable[CodeSet], cache: FileCache
) -> tuple[dict[str, Sae], list[tuple[str, str]]]:
    """Collect every SAE by id, and list unreadable files."""
    by_sae: dict[tuple[str, int, str], list[CodeSet]] = {}
    for one in code_sets:
        if not one.is_hidden:
            by_sae.setdefault((one.model, one.layer, one.name), []).append(one)
    trained, problems = _trained(layout, cache)
    found = {}
    for key in sorted(set(by_sae) | set(trained)):
        model, layer, width = key
        relative = f"{model}/layer_{layer}/{width}"
        own = trained.get(key)
        sae = Sae(
            short_id(relative),
            *key,
            tuple(by_sae.get(key, [])),
            own.folder if own else None,
            own.record if own else None,
            layout.explanations / relative,
        )
        found[sae.id] = sae
    return found, problems


def _trained(layout: Layout, cache: FileCache) -> tuple[dict[tuple[str, int, str], TrainedSae], list[tuple[str, str]]]:
    found = {}
    problems = []
    for file in find_trained(layout.saes):
        sae = cache.read(read_trained, file)
        if isinstance(sae, str):
            problems.append((f"saes/{file.relative}/{SAE_QUALITY}", sae))
        else:
            found[sae.model, sae.layer, sae.name] = sae
    return found, problems
