"""The latents that speak most for each class of a result."""

from __future__ import annotations

from dataclasses import dataclass

from app.shared.data.latents.names import names_of_result
from app.shared.data.one_result import OneResult
from app.shared.data.tree import Index
from app.shared.feature_name import FeatureName

MOST_CLASSES = 20
_PER_CLASS = 4


@dataclass(frozen=True)
class ClassLatents:
    """The strongest features of a class, those with an explanation if it has any."""

    name: str
    features: list[FeatureName]


def class_latents(index: Index, result: OneResult) -> list[ClassLatents]:
    """Per class the recorded features with the largest positive weights (of a tree: those higher in the class).

    Features without an explanation are listed only for classes that have no other. At most MOST_CLASSES classes, in
    the result's order. Raises KeyError, TypeError or ValueError if the record has another structure.
    """
    listed = result.scores.get("top_features") or []
    names = names_of_result(index, result)
    found = []
    for name in result.classes[:MOST_CLASSES]:
        if isinstance(listed, dict):
            entries = [entry for entry in listed.get(name, []) if float(entry["weight"]) > 0]
        else:
            entries = [entry for entry in listed if (entry.get("direction") or {}).get(name) == "higher"]
        features = [names.of_entry(entry) for entry in entries]
        explained = [one for one in features if one.explanation]
        found.append(ClassLatents(name, (explained or features)[:_PER_CLASS]))
    return found
