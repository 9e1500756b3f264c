"""Explanations of latents: one JSON file per latent, and one record and one table per SAE.

    explanations/<model>/layer_<L>/<width>/
        <latent>.json          name, explanation (a sentence), explainer, scores with controls, contexts, provenance
        <latent>.png           for image models, if asked for: a synthesised image that activates the latent
        explanations.parquet   one row per explained latent
        explanations.json      settings, totals, mean scores with intervals, controls, failures, latents left out

A file that holds only {"explanation": text, "scores": {name: number}}, as other programs write, is read too. Files with
any other content are skipped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saefari.errors import StoreError
from saefari.store.files import read_json

SUMMARY_TABLE = "explanations.parquet"
SUMMARY_RECORD = "explanations.json"
_NAME_LENGTH = 60


@dataclass(frozen=True)
class StoredScore:
    """A score. interval: 95% confidence interval. controls: "shuffled" and "random_sae" -> value to compare with."""

    value: float
    interval: tuple[float, float] | None = None
    controls: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_below_controls(self) -> bool:
        """Whether a control scores at least as high."""
        return any(control >= self.value for control in self.controls.values())


@dataclass(frozen=True)
class Explanation:
    """Explanation of a latent. name: a few words. text: one sentence. explainer: who wrote it, "" if unknown.

    scores: name of a score -> score, the first is shown beside the name.
    """

    latent: int
    name: str
    text: str
    explainer: str = ""
    scores: Mapping[str, StoredScore] = field(default_factory=dict)

    @property
    def first_score(self) -> float | None:
        """Value of the first score; None if it is not scored."""
        return next((score.value for score in self.scores.values()), None)

    @property
    def score(self) -> str:
        """The first score as text: "embedding 0.83", or "not scored"."""
        for name, score in self.scores.items():
            return f"{name} {score.value:.2f}"
        return "not scored"

    @property
    def is_below_controls(self) -> bool:
        """Whether the first score is not above its controls."""
        return any(score.is_below_controls for score in list(self.scores.values())[:1])


def read_explanation(folder: Path, latent: int) -> Explanation | None:
    """Return the explanation of one latent, or None."""
    try:
        record = read_json(folder / f"{int(latent)}.json")
    except StoreError:
        return None
    return parse_explanation(latent, record)


def read_explanations(folder: Path) -> dict[int, Explanation]:
    """Return latent -> explanation, for all latents that have one."""
    latents = sorted(int(path.stem) for path in folder.glob("*.json") if path.stem.isdigit())
    found = {latent: read_explanation(folder, latent) for latent in latents}
    return {latent: one for latent, one in found.items() if one is not None}


def read_explanation_record(folder: Path) -> dict[str, Any] | None:
    """Return the record of an SAE's explanations; None if there is none. Raises StoreError if it is not valid JSON."""
    record = read_json(folder / SUMMARY_RECORD)
    return record if isinstance(record, dict) else None


def parse_explanation(latent: int, record: object) -> Explanation | None:
    """Return the explanation in the content of a latent's file, or None if it has none."""
    if not isinstance(record, dict) or not isinstance(record.get("explanation"), str):
        return None
    text: str = record["explanation"]
    name = record.get("name")
    scores = record.get("scores")
    parsed = {str(key): _score(value) for key, value in (scores.items() if isinstance(scores, dict) else [])}
    explainer = record.get("explainer")
    return Explanation(
        int(latent),
        name if isinstance(name, str) and name else _shortened(text),
        text,
        explainer if isinstance(explainer, str) else "",
        {key: score for key, score in parsed.items() if score is not None},
    )


def _score(value: object) -> StoredScore | None:
    """Return a score from a number or a record {"value", "interval", "controls": {name: {"value"}}}."""
    if _is_number(value):
        return StoredScore(float(value))  # type: ignore[arg-type]
    if not isinstance(value, dict) or not _is_number(value.get("value")):
        return None
    interval, controls = value.get("interval"), value.get("controls")
    known = isinstance(interval, list) and len(interval) == 2 and all(map(_is_number, interval))
    numbers = {
        str(name): float(control["value"])
        for name, control in (controls.items() if isinstance(controls, dict) else [])
        if isinstance(control, dict) and _is_number(control.get("value"))
    }
    bounds = (float(interval[0]), float(interval[1])) if known and interval is not None else None
    return StoredScore(float(value["value"]), bounds, numbers)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _shortened(text: str) -> str:
    """Return the first words of a sentence as a name."""
    return text if len(text) <= _NAME_LENGTH else text[:_NAME_LENGTH].rsplit(" ", 1)[0] + " …"
