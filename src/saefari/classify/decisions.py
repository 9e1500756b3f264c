"""Explain predictions of a stored classifier: feature contributions of a probe, decision path of a tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from saefari.classify.features import binarize, pool_or_count, stack_rows
from saefari.classify.fold_scaling import Matrix
from saefari.classify.pixels import read_pixel_rows
from saefari.classify.settings import Setting, Source
from saefari.errors import StoreError
from saefari.store import read_codes_rows, read_hidden_rows, read_result, read_sample_rows


@dataclass(frozen=True)
class StoredClassifier:
    """One classifier of one setting, loaded from disk.

    name: linear, tree or majority. result: the content of results.json. estimator: a scikit-learn estimator that takes
    the output of `stored_features`. classes: names in the order of its probabilities.
    """

    name: str
    source: Source
    setting: Setting
    classes: list[str]
    result: dict[str, Any]
    estimator: Any

    @property
    def features(self) -> str | None:
        """Folder of codes or hidden states below a sample folder, such as 'layer_3/3k'; None if it reads none."""
        features: str | None = self.result["features"]
        return features

    @cached_property
    def terms(self) -> Sequence[str] | None:
        """Names of TF-IDF features; None for other sources."""
        if self.source != "tfidf":
            return None
        from saefari.classify.terms import term_names

        return term_names(self.estimator["count"])

    @cached_property
    def columns(self) -> np.ndarray:
        """int64: indices, in the source, of the features that the final classifier takes."""
        if "keep" in self.estimator.named_steps:
            return np.asarray(self.estimator["keep"].transformers_[0][2], dtype=np.int64)
        return np.arange(self.estimator[-1].n_features_in_)


@dataclass(frozen=True)
class Contributions:
    """Contributions to a linear probe's logits: per class, intercept + sum of contributions = logit.

    features: int64 [m], indices in the source of the features that are not 0 in this row; all of a dense source.
    names: of these features, for TF-IDF; else None. values: float64 [m], before scaling.
    per_class: float64 [m, K], weight x scaled value. intercepts: float64 [K].
    With two classes there is one weight vector; the contributions to the first class are those to the second, negated.
    """

    features: np.ndarray
    names: list[str] | None
    values: np.ndarray
    per_class: np.ndarray
    intercepts: np.ndarray

    @property
    def logits(self) -> np.ndarray:
        """float64 [K]; with two classes -z and z, where z is scikit-learn's decision function."""
        total: np.ndarray = self.intercepts + self.per_class.sum(axis=0)
        return total


@dataclass(frozen=True)
class Step:
    """One split on a row's path down a tree, numbered as `nodes` in results.json; value <= threshold goes left."""

    node: int
    feature: int
    name: str | None
    value: float
    threshold: float
    went_left: bool


@dataclass(frozen=True)
class TreePath:
    """A row's path down a tree: its splits, then its leaf."""

    steps: list[Step]
    leaf: int

    @property
    def nodes(self) -> list[int]:
        """Every node on the path, root first, leaf last."""
        return [*(step.node for step in self.steps), self.leaf]


@dataclass(frozen=True)
class Decision:
    """A prediction for one row and its explanation.

    probabilities: float64 [K]. contributions: for a linear probe. path: for a tree. The majority class has neither.
    """

    probabilities: np.ndarray
    contributions: Contributions | None = None
    path: TreePath | None = None


def load_classifier(folder: Path, name: str) -> StoredClassifier:
    """Read one classifier of a setting's folder; name: 'linear', 'tree' or 'majority'.

    Raises StoreError if there is no such result or classifier, or its estimator was not saved or cannot be read.
    """
    from saefari.classify.estimator import load_estimator

    result = read_result(folder)
    if name not in result["classifiers"]:
        raise StoreError(f"{folder} has no classifier {name!r}; it has: {', '.join(result['classifiers'])}")
    path = folder / f"{name}.skops"
    if not path.exists():
        raise StoreError(
            f"{path} does not exist, so only the scores of this result can be shown (imported results have no "
            "estimators); `python run_experiments.py --classify-only` writes the estimators of a run"
        )
    if "features" not in result:
        raise StoreError(f"{folder} was written by an older version: run `python run_experiments.py --classify-only`")
    try:
        estimator = load_estimator(path)
    except Exception as error:  # a damaged file fails in many ways
        raise StoreError(f"{path} cannot be read ({error}): run `python run_experiments.py --classify-only`") from None
    settings = result["settings"]
    setting = Setting(settings["pooling"], settings["top_n"], settings["binarize"], settings["select_k"])
    return StoredClassifier(name, settings["source"], setting, result["classes"], result, estimator)


def stored_features(classifier: StoredClassifier, sample_folder: Path, rows: Sequence[int]) -> Any:
    """Return the estimator's input for dataset rows (`row` of predictions.parquet) of a stored split.

    sample_folder: one of result["samples"], below the activations' root. Returns a sparse matrix [n, d_sae] for codes,
    float32 [n, d] for hidden states and pixels, texts for TF-IDF, zeros [n, 1] for the majority class.
    Raises StoreError if the rows are not stored.
    """
    if classifier.features is None:
        if classifier.source == "majority":
            return np.zeros((len(rows), 1))
        if classifier.source == "pixels":
            return read_pixel_rows(sample_folder, rows)
        return [text or "" for text in read_sample_rows(sample_folder, rows, ["text"])["text"].to_pylist()]
    folder = sample_folder / classifier.features
    if classifier.source == "hidden":
        return read_hidden_rows(folder, rows, classifier.setting.pooling)
    codes = read_codes_rows(folder, rows)
    return features_of_codes(classifier.setting, *codes.without_outliers())


def features_of_codes(setting: Setting, codes: sparse.csr_array, offsets: np.ndarray) -> sparse.csr_array:
    """Return a setting's features [n_samples, d_sae] from codes [n_positions, d_sae]; offsets: [n_samples + 1]."""
    pooled = stack_rows([pool_or_count(codes, offsets, setting.pooling, setting.top_n or 0)])
    return pooled if setting.binarize is None else binarize(pooled, setting.binarize)


def decide(classifier: StoredClassifier, features: Any) -> list[Decision]:
    """Return one decision per row of `features`, the output of `stored_features`."""
    probabilities = classifier.estimator.predict_proba(features)
    if classifier.name == "linear":
        contributions = _contributions(classifier, features)
        return [Decision(p, contributions=c) for p, c in zip(probabilities, contributions, strict=True)]
    if classifier.name == "tree":
        paths = _paths(classifier, features)
        return [Decision(p, path=path) for p, path in zip(probabilities, paths, strict=True)]
    return [Decision(p) for p in probabilities]


def _contributions(classifier: StoredClassifier, features: Any) -> list[Contributions]:
    *steps, (_, probe) = classifier.estimator.steps
    unscaled = scaled = features
    for name, step in steps:
        scaled = step.transform(scaled)
        unscaled = unscaled if name == "scale" else scaled
    weights, intercepts = probe.coef_.astype(np.float64), probe.intercept_.astype(np.float64)
    if len(weights) == 1:
        weights, intercepts = np.vstack([-weights, weights]), np.concatenate([-intercepts, intercepts])
    contributions = []
    # Scaling keeps the stored entries and their order.
    for (present, values), (_, scaled_values) in zip(_rows(unscaled), _rows(scaled), strict=True):
        numbers = classifier.columns[present]
        names = None if classifier.terms is None else [classifier.terms[number] for number in numbers]
        per_class = scaled_values[:, None] * weights[:, present].T
        contributions.append(Contributions(numbers, names, values, per_class, intercepts))
    return contributions


def _rows(matrix: Matrix) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (columns, float64 values) of each row: the stored entries of a sparse one, all of a dense one."""
    if isinstance(matrix, np.ndarray):
        columns = np.arange(matrix.shape[1])
        yield from ((columns, row.astype(np.float64)) for row in matrix)
        return
    for start, stop in pairwise(matrix.indptr):
        yield matrix.indices[start:stop], matrix.data[start:stop].astype(np.float64)


def _paths(classifier: StoredClassifier, features: Any) -> list[TreePath]:
    *steps, (_, tree) = classifier.estimator.steps
    for _, step in steps:
        features = step.transform(features)
    structure, terms = tree.tree_, classifier.terms
    visited = tree.decision_path(features)
    paths = []
    for i, (start, stop) in enumerate(pairwise(visited.indptr)):
        nodes = visited.indices[start:stop].tolist()  # ascending, and a child comes after its parent
        row = features[[i]]
        values = (row if isinstance(row, np.ndarray) else row.toarray())[0]
        steps_down = []
        for node, following in pairwise(nodes):
            column = structure.feature[node]
            number = int(classifier.columns[column])
            steps_down.append(
                Step(
                    node=node,
                    feature=number,
                    name=None if terms is None else terms[number],
                    value=float(values[column]),
                    threshold=float(structure.threshold[node]),
                    went_left=bool(following == structure.children_left[node]),
                )
            )
        paths.append(TreePath(steps_down, nodes[-1]))
    return paths
