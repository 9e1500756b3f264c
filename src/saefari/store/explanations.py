"""Explanations of latents: one JSON file per latent.

    explanations/<model>/layer_<L>/<width>/<latent>.json   {"explanation": text, "scores": {name: number}}

Files with any other content are skipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from saefari.errors import StoreError
from saefari.store.files import read_json


@dataclass(frozen=True)
class Explanation:
    """Explanation of a latent. text: its proposed meaning. scores: name of a score -> value."""

    latent: int
    text: str
    scores: dict[str, float]


def read_explanation(folder: Path, latent: int) -> Explanation | None:
    """Return the explanation of one latent, or None."""
    try:
        record = read_json(folder / f"{int(latent)}.json")
    except StoreError:
        return None
    if not isinstance(record, dict) or not isinstance(record.get("explanation"), str):
        return None
    scores = record.get("scores")
    numbers = {
        str(name): float(value)
        for name, value in (scores.items() if isinstance(scores, dict) else [])
        if isinstance(value, (int, float))
    }
    return Explanation(int(latent), record["explanation"], numbers)


def read_explanations(folder: Path) -> dict[int, Explanation]:
    """Return latent -> explanation, for all latents that have one."""
    latents = sorted(int(path.stem) for path in folder.glob("*.json") if path.stem.isdigit())
    found = {latent: read_explanation(folder, latent) for latent in latents}
    return {latent: one for latent, one in found.items() if one is not None}
