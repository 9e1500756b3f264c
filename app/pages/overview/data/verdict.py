"""Who wins on a dataset, and by how much, in words."""

from __future__ import annotations

from typing import Any

from app.shared.data.paired import Difference, paired_difference
from app.shared.data.selection import SaeAndBaseline
from app.shared.data.tree import Index
from app.shared.labels import SOURCES, score, short_model
from saefari.errors import StoreError

_COLOURS = {"better": "teal", "worse": "orange"}


def difference_of(index: Index, pair: SaeAndBaseline) -> Difference | None:
    """Paired difference of the two sides; None without common test rows or stored predictions."""
    if pair.sae is None or pair.baseline is None or not (pair.sae.run and pair.baseline.run):
        return None
    first, second = ((index.folders[str(side.run)], str(side.classifier)) for side in (pair.sae, pair.baseline))
    try:
        return paired_difference(first, second)
    except StoreError:
        return None  # imported results have no predictions


def verdict(pair: SaeAndBaseline, found: Difference | None) -> str:
    """better, worse, not clearly different or unknown: SAE features against the best baseline.

    By the paired difference or, without one, by whether the 95% intervals of both scores overlap.
    """
    if found is not None:
        return found.verdict
    if pair.difference is None or pair.overlap is None:
        return "unknown"
    if pair.overlap:
        return "not clearly different"
    return "better" if pair.difference > 0 else "worse"


def colour_of(verdict: str) -> str:
    """Colour of a verdict's badge."""
    return _COLOURS.get(verdict, "gray")


def verdict_sentence(pair: SaeAndBaseline, found: Difference | None) -> str:
    """The comparison in one or two sentences."""
    if pair.sae is None:
        return "There is no result of SAE features yet."
    if pair.baseline is None:
        return f"SAE features reach macro-F1 {_score(pair.sae)}; there is no baseline to compare with."
    opening = {
        "better": "SAE features are better than the best baseline",
        "worse": "SAE features are worse than the best baseline",
        "not clearly different": "SAE features are not clearly different from the best baseline",
        "unknown": "SAE features against the best baseline",
    }[verdict(pair, found)]
    scores = f"macro-F1 {_score(pair.sae)} against {_score(pair.baseline)}"
    return f"{opening}, {_baseline(pair.baseline)}: {scores}. {_difference(pair, found)} {_selection(pair)}"


def _difference(pair: SaeAndBaseline, found: Difference | None) -> str:
    if found is not None:
        interval = f"95% interval {found.low:+.3f} to {found.high:+.3f}"
        return f"Difference {found.value:+.3f} ({interval}, on the same {found.n_rows:,} test rows)."
    how = {True: "the 95% intervals of the scores overlap", False: "the 95% intervals of the scores do not overlap"}
    overlap = "" if pair.overlap is None else how[pair.overlap]
    return f"Difference {pair.difference:+.3f} ({overlap or 'its uncertainty is unknown'})."


def _selection(pair: SaeAndBaseline) -> str:
    if pair.by_test:
        return "Selected by test score, because the results have no cross-validation: such scores are biased upwards."
    return "Both were selected by cross-validation on the training rows."


def _baseline(row: Any) -> str:
    place = f" ({short_model(row.model)}, layer {row.layer})" if row.model else ""
    return f"{SOURCES.get(row.source, row.source)}{place}"


def _score(row: Any) -> str:
    caution = f" (caution: {row.caution})" if row.caution else ""
    return score(row.macro_f1, row.macro_f1_low, row.macro_f1_high) + caution
