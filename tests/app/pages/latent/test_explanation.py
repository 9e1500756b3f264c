"""Section of a latent's explanation on the page Latent."""

from __future__ import annotations

from app.pages.latent.parts.explanation import explanation
from app.shared.feature_name import FeatureName
from saefari.store import Explanation, StoredScore
from tests.app.rendered import text

SCORES = {
    "embedding": StoredScore(0.55, (0.5, 0.6), {"shuffled": 0.55, "random_sae": 0.51}),
    "detection": StoredScore(0.8),
}


def shown(explanation_: Explanation | None) -> str:
    return text(explanation(FeatureName("latent", 12, "", explanation_), ""))


def test_scores_have_intervals_controls_and_a_verdict() -> None:
    found = shown(Explanation(12, "arrays", "The word *array*, 2 * 3.", "lexical", SCORES))
    for words in (
        "by the explainer lexical",
        "not above its controls",
        '"verdict": "not above"',
        '"verdict": "no controls"',
        "shuffled explanations",
        '"low": 0.5',
        '"control random_sae": 0.51',
    ):
        assert words in found
    assert '"children": "array"' in found
    assert ", 2 * 3." in found


def test_unscored_and_missing_explanations_say_so() -> None:
    assert "Not scored, explainer unknown." in shown(Explanation(12, "arrays", "Fires on arrays."))
    assert "No explanation yet." in shown(None)
