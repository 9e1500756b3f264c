"""Saved estimators: equal estimators give equal files, and predictions are unchanged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from saefari.classify.estimator import load_estimator, save_estimator

CLASSES = np.arange(30) % 3
TEXTS = [f"alpha{i % 3} beta{i % 5} gamma" for i in range(30)]
FEATURES = sparse.csr_array(np.random.default_rng(0).random((30, 4)).astype(np.float32))


def fitted(kind: str) -> Pipeline:
    keep = ("keep", ColumnTransformer([("features", "passthrough", np.array([0, 2]))], sparse_threshold=1.0))
    if kind == "linear":
        return Pipeline([keep, ("scale", StandardScaler(with_mean=False)), ("probe", LogisticRegression())]).fit(
            FEATURES, CLASSES
        )
    if kind == "tree":
        return Pipeline([keep, ("tree", DecisionTreeClassifier(max_depth=2, random_state=0))]).fit(FEATURES, CLASSES)
    terms = [("count", CountVectorizer(dtype=np.float32)), ("weight", TfidfTransformer())]
    return Pipeline([*terms, ("probe", LogisticRegression())]).fit(TEXTS, CLASSES)


@pytest.mark.parametrize("kind", ["linear", "tree", "terms"])
def test_equal_estimators_give_equal_files_and_predictions(kind: str, tmp_path: Path) -> None:
    estimators = [fitted(kind), fitted(kind)]
    for number, estimator in enumerate(estimators):
        save_estimator(tmp_path / f"{number}.skops", estimator)
    assert (tmp_path / "0.skops").read_bytes() == (tmp_path / "1.skops").read_bytes()
    rows = TEXTS if kind == "terms" else FEATURES
    loaded = load_estimator(tmp_path / "0.skops")
    np.testing.assert_array_equal(loaded.predict_proba(rows), estimators[0].predict_proba(rows))


def test_different_estimators_give_different_files(tmp_path: Path) -> None:
    one, other = fitted("linear"), fitted("linear")
    other["probe"].coef_ += 1e-3
    save_estimator(tmp_path / "one.skops", one)
    save_estimator(tmp_path / "other.skops", other)
    assert (tmp_path / "one.skops").read_bytes() != (tmp_path / "other.skops").read_bytes()
