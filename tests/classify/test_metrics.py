"""Scores against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from saefari.classify.confusion import confusion, macro_f1
from saefari.classify.metrics import evaluate


def predictions(n_classes: int, n_rows: int = 150) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(1)
    truth = np.arange(n_rows) % n_classes
    scores = generator.random((n_rows, n_classes)) + 0.7 * np.eye(n_classes)[truth]
    return truth, scores / scores.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("n_classes", [2, 3, 7])
def test_scores_equal_scikit_learns(n_classes: int) -> None:
    truth, probabilities = predictions(n_classes)
    predicted = probabilities.argmax(axis=1)
    names = [f"c{k}" for k in range(n_classes)]
    scores = evaluate(truth, probabilities, names, n_bootstrap=200, seed=0)
    assert scores["accuracy"] == pytest.approx(reference.accuracy_score(truth, predicted))
    assert scores["macro_f1"] == pytest.approx(reference.f1_score(truth, predicted, average="macro"))
    assert scores["weighted_f1"] == pytest.approx(reference.f1_score(truth, predicted, average="weighted"))
    assert scores["confusion"] == reference.confusion_matrix(truth, predicted).tolist()
    precision, recall, _, _ = reference.precision_recall_fscore_support(truth, predicted, average="macro")
    assert scores["macro_precision"] == pytest.approx(precision)
    assert scores["macro_recall"] == pytest.approx(recall)
    given = probabilities[:, 1] if n_classes == 2 else probabilities
    assert scores["roc_auc"] == pytest.approx(reference.roc_auc_score(truth, given, multi_class="ovr"))
    report = reference.classification_report(truth, predicted, target_names=names, output_dict=True)
    for name in names:
        assert scores["per_class"][name]["f1"] == pytest.approx(report[name]["f1-score"])
        assert scores["per_class"][name]["precision"] == pytest.approx(report[name]["precision"])
        assert scores["per_class"][name]["recall"] == pytest.approx(report[name]["recall"])
        assert scores["per_class"][name]["support"] == report[name]["support"]
    low, high = scores["macro_f1_interval"]
    assert low < scores["macro_f1"] < high


def test_a_class_that_is_never_predicted_counts_as_zero() -> None:
    matrix = confusion(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 0]), 2)
    assert macro_f1(matrix) == pytest.approx(reference.f1_score([0, 0, 1, 1], [0, 0, 0, 0], average="macro"))


def test_roc_points_are_few_and_span_the_curve() -> None:
    truth, probabilities = predictions(2, n_rows=5000)
    curves = evaluate(truth, probabilities, ["no", "yes"], n_bootstrap=200, seed=0)["roc"]
    assert list(curves) == ["yes"]
    points = curves["yes"]
    assert 100 < len(points["fpr"]) == len(points["tpr"]) <= 200
    assert (points["fpr"][0], points["tpr"][0]) == (0, 0)
    assert (points["fpr"][-1], points["tpr"][-1]) == (1, 1)
    assert np.trapezoid(points["tpr"], points["fpr"]) == pytest.approx(
        reference.roc_auc_score(truth, probabilities[:, 1]), abs=0.005
    )


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_class_without_rows_counts_in_f1_if_predicted_and_has_no_curve(n_classes: int) -> None:
    truth, probabilities = predictions(n_classes)
    kept = truth != 1
    truth, probabilities = truth[kept], probabilities[kept]
    predicted = probabilities.argmax(axis=1)
    assert 1 in predicted
    names = [f"c{k}" for k in range(n_classes)]
    scores = evaluate(truth, probabilities, names, n_bootstrap=50, seed=0)
    assert scores["macro_f1"] == pytest.approx(reference.f1_score(truth, predicted, average="macro"))
    assert scores["macro_recall"] == pytest.approx(
        reference.recall_score(truth, predicted, average="macro", zero_division=0)
    )
    if n_classes == 2:
        assert (scores["roc_auc"], scores["roc"]) == (None, {})
    else:
        areas = [reference.roc_auc_score(truth == k, probabilities[:, k]) for k in (0, 2)]
        assert scores["roc_auc"] == pytest.approx(np.mean(areas))
        assert set(scores["roc"]) == {"c0", "c2"}
