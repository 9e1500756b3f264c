"""The plain sentence about a prediction."""

from __future__ import annotations

import numpy as np
import pytest

from app.shared.decision_sentence import Split, decision_sentence, path_reasons, plain_text, probe_reasons
from app.shared.feature_name import FeatureName
from saefari.store import Explanation


def named(number: int, name: str) -> FeatureName:
    return FeatureName("latent", number, "", Explanation(number, name, f"Fires on {name}."))


WORD, FIT, ARRAY = named(1, "the word feature"), named(2, "estimators"), named(3, "arrays")
UNNAMED = FeatureName("latent", 4)
THREE = ["numpy", "scikit-learn", "torch"]


def verdict(probabilities: list[float], classes: list[str] | None = None, predicted: int | None = None) -> str:
    """Everything but the reasons."""
    chances = np.array(probabilities)
    best = int(chances.argmax()) if predicted is None else predicted
    return plain_text(decision_sentence(classes or THREE[: len(probabilities)], chances, best, ["…"]))


def probe(features: list[FeatureName], added: list[float]) -> str:
    return plain_text(probe_reasons(features, np.array(added)))


def test_a_sentence_says_what_how_sure_and_why() -> None:
    reasons = probe_reasons([ARRAY, WORD, FIT], np.array([-0.8, 2.0, 1.0]))
    parts = decision_sentence(THREE, np.array([0.04, 0.93, 0.03]), 1, reasons)
    assert plain_text(parts) == (
        "Predicted scikit-learn (probability 0.93): “the word feature” and “estimators” speak for it, “arrays” "
        "against; the next class is numpy (0.04)."
    )
    assert parts[1] == "scikit-learn"
    assert [part for part in parts if isinstance(part, FeatureName)] == [WORD, FIT, ARRAY]


@pytest.mark.parametrize(
    ("probabilities", "wanted"),
    [
        ([0.7, 0.2, 0.1], "Predicted numpy (probability 0.70): …; the next class is scikit-learn (0.20)."),
        ([0.4, 0.35, 0.25], "Predicted numpy (probability 0.40): …; scikit-learn (0.35) is close."),
        ([0.4, 0.2, 0.4], "Predicted numpy (probability 0.40): …; torch is just as probable."),
        ([1 / 3, 1 / 3, 1 / 3], "Predicted numpy (probability 0.33): …; scikit-learn and torch are just as probable."),
        (
            [0.9999, 0.0001, 0],
            "Predicted numpy (probability above 0.99): …; the next class is scikit-learn (below 0.01).",
        ),
        ([0.1, 0.9], "Predicted scikit-learn (probability 0.90): …; the other class is numpy (0.10)."),
        ([0.5, 0.5], "Predicted numpy (probability 0.50): …; scikit-learn is just as probable."),
        ([1.0], "Predicted numpy (probability above 0.99): …."),
    ],
)
def test_sureness_is_that_of_the_two_most_probable_classes(probabilities: list[float], wanted: str) -> None:
    assert verdict(probabilities) == wanted


@pytest.mark.parametrize(
    ("features", "added", "wanted"),
    [
        ([WORD], [1.0], "“the word feature” speaks for it"),
        ([WORD, UNNAMED], [1.0, 0.5], "“the word feature” and latent 4 speak for it"),
        ([WORD, ARRAY], [1.0, -0.05], "“the word feature” speaks for it"),
        ([WORD, ARRAY], [-1.0, -2.0], "nothing speaks for it, “arrays” and “the word feature” against"),
        ([WORD, ARRAY], [0.0, 0.0], "no feature speaks for or against it, so the intercept decides"),
        ([], [], "no feature speaks for or against it, so the intercept decides"),
        (
            [FeatureName("term", 0, "fit"), FeatureName("term", 1, "ndarray")],
            [1, -1],
            "fit speaks for it, ndarray against",
        ),
        ([FeatureName("dimension", 0)], [1.0], "the dimensions of a hidden state have no names"),
        ([FeatureName("pixel", 0)], [1.0], "single pixels have no names"),
    ],
)
def test_the_strongest_contributions_are_named(features: list[FeatureName], added: list[float], wanted: str) -> None:
    assert probe(features, added) == wanted


def test_at_most_three_speak_for_and_two_against_it_also_among_equals() -> None:
    features = [FeatureName("latent", i) for i in range(8)]
    added = [1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0]
    assert probe(features, added) == "latent 0, latent 1 and latent 2 speak for it, latent 4 and latent 5 against"


@pytest.mark.parametrize(
    ("splits", "wanted"),
    [
        ([Split(WORD, 1, False)], "the text has “the word feature”"),
        ([Split(WORD, 1, True)], "the text has little or no “the word feature”"),
        (
            [Split(WORD, 1, False), Split(ARRAY, 2, True), Split(UNNAMED, 0.5, False), Split(FIT, 1, True)],
            "the text has “the word feature” and latent 4, but little or no “arrays” and “estimators”",
        ),
        ([Split(WORD, 1, False), Split(WORD, 2, False)], "the text has “the word feature”"),
        ([Split(WORD, 1, False), Split(WORD, 2, True)], "the text has some “the word feature”"),
        ([], "the tree has no splits, so every row gets this class"),
        (
            [Split(FeatureName("dimension", 7), 0.3, False), Split(FeatureName("dimension", 2), -0.25, True)],
            "dimension 7 > 0.3 and dimension 2 ≤ -0.25",
        ),
        ([Split(FeatureName("term", 7, "fit"), 0.3, False)], "the text has fit"),
    ],
)
def test_a_path_is_told_by_what_is_there_and_what_is_not(splits: list[Split], wanted: str) -> None:
    assert plain_text(path_reasons(splits, "text")) == wanted


def test_a_long_path_counts_the_names_that_it_leaves_out() -> None:
    splits = [Split(FeatureName("latent", i), 1, False) for i in range(7)]
    assert plain_text(path_reasons(splits, "image")) == "the image has latent 0, latent 1, latent 2 and 4 more"
