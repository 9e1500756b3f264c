"""The top features of a classifier, with facts about each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.shared.data.latents.names import names_of_result
from app.shared.data.latents.summary import Facts, facts
from app.shared.data.one_result import OneResult, codes_of, sae_of
from app.shared.data.tree import Index
from app.shared.feature_name import FeatureName


@dataclass(frozen=True)
class TopFeature:
    """One feature. strength: signed weight, or importance.

    higher: classes whose training rows have higher values than the others (decision tree only).
    """

    name: FeatureName
    strength: float
    higher: tuple[str, ...]
    note: Facts


def is_signed(scores: dict[str, Any]) -> bool:
    """Whether top features are listed per class with signed weights; otherwise they have importances."""
    return isinstance(scores.get("top_features"), dict)


def top_features(index: Index, result: OneResult, shown_class: str) -> list[TopFeature]:
    """Top features of a class (linear probe) or of all classes (tree), strongest first; [] if none are recorded.

    Raises KeyError, TypeError or ValueError if the record has another structure.
    """
    listed = result.scores.get("top_features") or []
    entries = listed.get(shown_class, []) if isinstance(listed, dict) else listed
    sae = sae_of(index, result.row)
    codes = None if sae is None else codes_of(sae, result.row)
    notes = facts(codes, [int(entry["feature"]) for entry in entries])
    names = names_of_result(index, result)
    found = []
    for entry in entries:
        higher = entry.get("direction")
        found.append(
            TopFeature(
                names.of_entry(entry),
                float(entry["weight"] if "weight" in entry else entry["importance"]),
                tuple(name for name, side in higher.items() if side == "higher") if isinstance(higher, dict) else (),
                notes[int(entry["feature"])],
            )
        )
    return found
