"""One plain sentence per prediction: the class, how sure, and the features that speak for and against it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from app.shared.feature_name import FeatureName

Part = str | FeatureName
"""A piece of a sentence: text, or the name of a feature."""
_FOR, _AGAINST, _LISTED = 3, 2, 4
_RELEVANT = 0.1
"""A contribution is named if it has at least this share of the largest one."""
_EQUAL, _CLOSE = 0.005, 0.1
"""Differences of probability below which a class is just as probable, or close."""
_NAMELESS = {"dimension": "the dimensions of a hidden state have no names", "pixel": "single pixels have no names"}
MAJORITY = "it is the most frequent class of the training rows, and no features are used"


@dataclass(frozen=True)
class Split:
    """One condition on a path down a tree: the feature is at most the threshold, or above it."""

    name: FeatureName
    threshold: float
    is_at_most: bool


def decision_sentence(
    classes: Sequence[str], probabilities: np.ndarray, predicted: int, reasons: Sequence[Part]
) -> list[Part]:
    """The sentence: `Predicted numpy (probability 0.93): <reasons>; the next class is scipy (0.04).`

    probabilities: [K]. predicted: index of the predicted class, which is the second part. reasons: of `probe_reasons`
    or `path_reasons`.
    """
    sure = f" (probability {_chance(probabilities[predicted])}): "
    return ["Predicted ", classes[predicted], sure, *reasons, f"{_runner_up(classes, probabilities, predicted)}."]


def probe_reasons(features: Sequence[FeatureName], added: np.ndarray) -> list[Part]:
    """The strongest contributions: `A and B speak for it, C against`. added: float64 [m], one per feature."""
    if features and features[0].noun in _NAMELESS and not features[0].own:
        return [_NAMELESS[features[0].noun]]
    order = np.argsort(-np.abs(added), kind="stable")
    relevant = [i for i in order if added[i] and abs(added[i]) >= _RELEVANT * abs(added[order[0]])]
    speak_for = [features[i] for i in relevant if added[i] > 0][:_FOR]
    against = [features[i] for i in relevant if added[i] < 0][:_AGAINST]
    if not speak_for and not against:
        return ["no feature speaks for or against it, so the intercept decides"]
    if not speak_for:
        return ["nothing speaks for it, ", *_list(against), " against"]
    found = [*_list(speak_for), " speaks for it" if len(speak_for) == 1 else " speak for it"]
    return [*found, ", ", *_list(against), " against"] if against else found


def path_reasons(splits: Sequence[Split], kind: str) -> list[Part]:
    """The path in words: `the text has A and some B, but little or no C`. kind: text or image."""
    if not splits:
        return ["the tree has no splits, so every row gets this class"]
    if splits[0].name.noun in _NAMELESS and not splits[0].name.own:
        return [" and ".join(f"{one.name.text} {'≤' if one.is_at_most else '>'} {one.threshold:.3g}" for one in splits)]
    names = {one.name.number: one.name for one in splits}
    above, at_most = ({one.name.number for one in splits if one.is_at_most == side} for side in (False, True))
    has: list[list[Part]] = [[name] for i, name in names.items() if i not in at_most]
    has += [["some ", name] for i, name in names.items() if i in at_most & above]
    lacks: list[list[Part]] = [[name] for i, name in names.items() if i not in above]
    missing = ["little or no ", *_joined(lacks)]
    if not has:
        return [f"the {kind} has ", *missing]
    return [f"the {kind} has ", *_joined(has), *([", but ", *missing] if lacks else [])]


def plain_text(sentence: Iterable[Part]) -> str:
    """The sentence as text, with names in quotation marks."""
    return "".join(part if isinstance(part, str) else _quoted(part) for part in sentence)


def _quoted(name: FeatureName) -> str:
    return f"“{name.title}”" if name.explanation else name.title


def _runner_up(classes: Sequence[str], probabilities: np.ndarray, predicted: int) -> str:
    """The clause about the other classes; "" if there are none."""
    others = [int(k) for k in np.argsort(-probabilities, kind="stable") if k != predicted]
    if not others:
        return ""
    gaps = [probabilities[predicted] - probabilities[k] for k in others]
    equal = [k for k, gap in zip(others, gaps, strict=True) if gap < _EQUAL]
    if equal:
        names = "".join(map(str, _list([classes[k] for k in equal])))
        return f"; {names} {'is' if len(equal) == 1 else 'are'} just as probable"
    second = f"{classes[others[0]]} ({_chance(probabilities[others[0]])})"
    if gaps[0] < _CLOSE:
        return f"; {second} is close"
    return f"; the {'other' if len(others) == 1 else 'next'} class is {second}"


def _chance(probability: float) -> str:
    """A probability with two decimals, never rounded to 0 or 1."""
    if probability >= 1 - _EQUAL:
        return "above 0.99"
    return "below 0.01" if probability < _EQUAL else f"{probability:.2f}"


def _list(names: Sequence[Part]) -> list[Part]:
    return _joined([[name] for name in names])


def _joined(items: Sequence[Sequence[Part]]) -> list[Part]:
    """`A, B and C`; items beyond the first _LISTED are counted."""
    shown = list(items)
    if len(items) > _LISTED:
        shown = [*items[: _LISTED - 1], [f"{len(items) - _LISTED + 1} more"]]
    found: list[Part] = []
    for i, item in enumerate(shown):
        found += [[""], [" and "], [", "]][0 if i == 0 else 1 if i == len(shown) - 1 else 2]
        found += item
    return [part for part in found if part != ""]
