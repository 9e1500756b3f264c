"""The top features of a classifier, with facts about each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.shared.data.latents.summary import Facts, facts
from app.shared.data.one_result import OneResult, codes_of, sae_of
from app.shared.data.selection import SAE
from app.shared.data.tree import Index
from app.shared.permalinks import link, neuronpedia_link


@dataclass(frozen=True)
class TopFeature:
    """One feature. strength: signed weight, or importance.

    higher: classes whose training rows have higher values than the others (decision tree only).
    href: its latent's page; for an SAE outside the tree, Neuronpedia's page; "" if neither is known.
    """

    feature: int
    label: str
    strength: float
    higher: tuple[str, ...]
    href: str
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
    notes = {} if sae is None else facts(sae, codes, [int(entry["feature"]) for entry in entries])
    known = result.record["settings"].get("neuronpedia") if result.row.source == SAE else None
    found = []
    for entry in entries:
        feature = int(entry["feature"])
        higher = entry.get("direction")
        found.append(
            TopFeature(
                feature,
                feature_label(entry, result.word),
                float(entry["weight"] if "weight" in entry else entry["importance"]),
                tuple(name for name, side in higher.items() if side == "higher") if isinstance(higher, dict) else (),
                link("/latent", sae=sae.id, latent=feature, codes=codes.id if codes else None)
                if sae
                else neuronpedia_link(known, feature),
                notes.get(feature, Facts()),
            )
        )
    return found


def feature_label(entry: dict[str, Any], word: str) -> str:
    """`latent 1555`, or the feature's own name. word: noun for features without a name."""
    return str(entry["name"]) if entry.get("name") else f"{word} {entry['feature']}"
