"""Size of an SAE according to its folder or the catalogue, before it is loaded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from saefari.saes.entries import Entry, d_model_of, entries
from saefari.saes.ref import SaeRef


@dataclass(frozen=True)
class SaeShape:
    """Lengths of an SAE's input and codes; None if unknown.

    k: maximum number of active latents per position, if the activation function fixes it.
    """

    d_in: int | None = None
    d_sae: int | None = None
    k: int | None = None


def sae_shape(ref: SaeRef) -> SaeShape:
    """Read the shape of an SAE from the cfg.json of its folder or from its entry in the catalogue."""
    if ref.path is not None:
        return _local_shape(Path(ref.path))
    entry = _catalogue().get((ref.release, ref.sae_id))
    return SaeShape() if entry is None else SaeShape(d_model_of(entry), entry.d_sae)


def _local_shape(folder: Path) -> SaeShape:
    try:
        config: dict[str, Any] = json.loads((folder / "cfg.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return SaeShape()
    if not isinstance(config, dict):
        return SaeShape()
    k_setting = config.get("k") if config.get("architecture") == "topk" else None
    older = config.get("activation_fn_kwargs")
    k = k_setting or (older.get("k") if isinstance(older, dict) else None)
    return SaeShape(
        *(value if isinstance(value, int) else None for value in (config.get("d_in"), config.get("d_sae"), k))
    )


@cache
def _catalogue() -> dict[tuple[str | None, str | None], Entry]:
    return {(entry.release, entry.sae_id): entry for entry in entries()}
