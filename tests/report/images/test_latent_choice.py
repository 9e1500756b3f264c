"""Choice of latents: alternating between those most used by classifiers and the most active."""

from __future__ import annotations

from typing import Any

import numpy as np

from saefari.report.images.latent_choice import choose_latents

WEIGHTS = {
    "cat": [(7, -9.0), (1, 3.0), (2, 2.0)],
    "dog": [(3, 1.0), (1, -0.5)],
}
IMPORTANCES = [(1, 0.6), (4, 0.4)]
ACTIVITY = np.array([0.5, 0.1, 0, 0, 0, 0.5, 0.9, 0])


def result(cv: float, weights: dict[str, Any] = WEIGHTS, importances: list[Any] = IMPORTANCES) -> dict[str, Any]:
    linear = {name: [{"feature": f, "weight": w} for f, w in own] for name, own in weights.items()}
    tree = [{"feature": f, "importance": i} for f, i in importances]
    scores = {"cross_validation": {"macro_f1": cv}}
    return {"classifiers": {"linear": scores | {"top_features": linear}, "tree": scores | {"top_features": tree}}}


def chosen(results: list[Any], most: int) -> list[int]:
    return [one.latent for one in choose_latents(results, ACTIVITY, most)]


def test_sources_alternate_and_are_listed_together() -> None:
    """Rounds: 1, -, 6 / 3, 4, 0 / 2, -, 5; no latent is chosen twice."""
    assert chosen([result(0.5)], 24) == [1, 3, 2, 4, 6, 0, 5]
    assert chosen([result(0.5)], 3) == [1, 3, 6]
    reasons = {one.latent: one.why for one in choose_latents([result(0.5)], ACTIVITY, 24)}
    assert reasons[1] == "linear probe: weight +3 for cat"
    assert reasons[4] == "tree: importance 0.4"
    assert reasons[6] == "most active: mean 0.9"


def test_the_reason_names_a_classifier_before_activity() -> None:
    named = result(0.5, {}, [(4, 0.6), (6, 0.4)])  # 6 is the most active, and chosen as such first
    assert [one.why for one in choose_latents([named], ACTIVITY, 2)] == ["tree: importance 0.6", "tree: importance 0.4"]


def test_the_best_setting_by_cross_validation_is_used() -> None:
    other = result(0.7, {"cat": [(5, 1.0)]}, [(2, 1.0)])
    assert chosen([result(0.5), other], 3) == [5, 2, 6]
    assert chosen([other, result(0.9)], 3) == [1, 3, 6]
    assert chosen([result(0.7), other], 3) == [1, 3, 6]  # equal: the first


def test_without_classifiers_the_most_active_are_chosen() -> None:
    assert chosen([], 24) == [6, 0, 5, 1]
    assert chosen([{"classifiers": {"linear": {"cross_validation": {"macro_f1": None}}}}], 2) == [6, 0]
