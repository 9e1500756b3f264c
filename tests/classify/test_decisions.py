"""Explanations of stored classifiers: contributions and paths that match their predictions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from saefari.classify.decisions import StoredClassifier, decide, load_classifier, stored_features
from saefari.classify.run import run_classify_job
from saefari.config import ClassificationParams
from saefari.errors import StoreError

from .conftest import MakeJob, make_rows, write_rows

EVERYTHING = ClassificationParams(
    top_n_values=[0, 2, -1], binarize_values=[None, 1.0], pooling=["sum", "mean", "max", "last"], select_k=[None, 8]
)


@pytest.fixture
def two_classes(tmp_path: Path) -> Path:
    folder = tmp_path / "two"
    write_rows(folder, make_rows(120, 2, seed=3), (np.arange(120) // 2 % 5 == 0).astype(np.int8))
    return folder


def answers(folder: Path, classifier: StoredClassifier) -> tuple[list[int], np.ndarray]:
    """Rows and probabilities of predictions.parquet."""
    table = pq.read_table(folder / "predictions.parquet").to_pydict()
    return table["row"], np.stack([table[f"{classifier.name}:{c}"] for c in classifier.classes], axis=1)


def softmax(logits: np.ndarray) -> np.ndarray:
    odds = np.exp(logits - logits.max())
    return odds / odds.sum()


@pytest.mark.parametrize(
    ("source", "params"),
    [
        ("sae", EVERYTHING),
        ("random_sae", ClassificationParams()),
        ("hidden", ClassificationParams()),
        ("tfidf", ClassificationParams()),
        ("majority", ClassificationParams()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_stored_rows_get_their_stored_probabilities(
    source: str, params: ClassificationParams, make_job: MakeJob, tree: Path
) -> None:
    job = make_job(source, params=params)
    assert run_classify_job(job).failures == []
    for folder in job.out.iterdir():
        for name in ["majority"] if source == "majority" else ["linear", "tree"]:
            classifier = load_classifier(folder, name)
            rows, expected = answers(folder, classifier)
            order = np.random.default_rng(0).permutation(len(rows))
            decisions = decide(classifier, stored_features(classifier, tree, [rows[i] for i in order]))
            found = np.stack([decision.probabilities for decision in decisions])
            np.testing.assert_allclose(found, expected[order], atol=1e-6, err_msg=f"{folder.name} {name}")
            assert all((d.contributions is None) == (name != "linear") for d in decisions)
            assert all((d.path is None) == (name != "tree") for d in decisions)


@pytest.mark.parametrize("source", ["sae", "hidden", "tfidf"])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_contributions_add_up_to_the_logits(
    source: str, n_classes: int, make_job: MakeJob, tree: Path, two_classes: Path
) -> None:
    samples = tree if n_classes == 4 else two_classes
    job = make_job(source, samples)
    run_classify_job(job)
    classifier = load_classifier(next(job.out.iterdir()), "linear")
    features = stored_features(classifier, samples, list(range(10)))
    scores = classifier.estimator.decision_function(features)
    for decision, score in zip(decide(classifier, features), scores, strict=True):
        why = decision.contributions
        assert why is not None
        assert why.per_class.shape == (len(why.features), n_classes)
        expected = np.array([-score, score]) if n_classes == 2 else score
        np.testing.assert_allclose(why.logits, expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(why.intercepts + why.per_class.sum(axis=0), why.logits)
        logits = np.array([0, score]) if n_classes == 2 else why.logits
        np.testing.assert_allclose(softmax(logits), decision.probabilities, atol=1e-5)


def test_a_contribution_is_weight_times_scaled_value_of_a_present_feature(make_job: MakeJob, tree: Path) -> None:
    job = make_job(params=ClassificationParams(select_k=[8]))
    run_classify_job(job)
    classifier = load_classifier(next(job.out.iterdir()), "linear")
    features = stored_features(classifier, tree, [0, 7])
    empty, seventh = (decision.contributions for decision in decide(classifier, features))
    assert empty is not None
    assert seventh is not None
    assert empty.features.size == 0  # row 0 has no position
    np.testing.assert_allclose(empty.logits, classifier.estimator["probe"].intercept_, rtol=1e-6)
    kept = classifier.estimator["keep"].transformers_[0][2]
    assert len(kept) == 8
    raw = features.toarray()[1]
    assert seventh.features.tolist() == [j for j in kept if raw[j] != 0]
    np.testing.assert_array_equal(seventh.values, raw[seventh.features])
    places = np.searchsorted(kept, seventh.features)
    scaled = seventh.values / classifier.estimator["scale"].scale_[places]
    expected = scaled[:, None] * classifier.estimator["probe"].coef_[:, places].T
    np.testing.assert_allclose(seventh.per_class, expected, rtol=1e-5)
    assert seventh.names is None


def test_dense_features_contribute_by_their_distance_from_the_mean(make_job: MakeJob, tree: Path) -> None:
    job = make_job("hidden", params=ClassificationParams(hidden_pooling=["mean"]))
    run_classify_job(job)
    classifier = load_classifier(job.out / "mean", "linear")
    features = stored_features(classifier, tree, [3])
    (decision,) = decide(classifier, features)
    why, scaler = decision.contributions, classifier.estimator["scale"]
    assert why is not None
    assert why.features.tolist() == list(range(12))
    np.testing.assert_array_equal(why.values, features[0])
    centred = (features[0] - scaler.mean_) / scaler.scale_
    np.testing.assert_allclose(why.per_class, centred[:, None] * classifier.estimator["probe"].coef_.T, atol=1e-5)


def test_names_of_terms_occur_in_the_text(make_job: MakeJob, tree: Path) -> None:
    job = make_job("tfidf")
    run_classify_job(job)
    folder = next(job.out.iterdir())
    text = make_rows(240, 4, seed=1).texts[9]
    linear, tree_classifier = (load_classifier(folder, name) for name in ("linear", "tree"))
    (decision,) = decide(linear, [text])
    assert decision.contributions is not None
    names = decision.contributions.names
    assert names
    assert all(term in text for term in names)
    assert {term for term in text.split() if not term.isdigit()} >= {term for term in names if " " not in term}
    (decision,) = decide(tree_classifier, [text])
    assert decision.path is not None
    for step in decision.path.steps:
        assert step.name is not None
        assert (step.value > 0) == (step.name in text)
    (nothing,) = decide(linear, [""])
    assert nothing.contributions is not None
    assert nothing.contributions.features.size == 0


@pytest.mark.parametrize("source", ["sae", "hidden", "tfidf"])
def test_paths_equal_those_of_estimator_and_recorded_nodes(source: str, make_job: MakeJob, tree: Path) -> None:
    job = make_job(source)
    run_classify_job(job)
    classifier = load_classifier(next(job.out.iterdir()), "tree")
    features = stored_features(classifier, tree, list(range(60)))
    nodes = classifier.result["classifiers"]["tree"]["nodes"]
    offered = classifier.estimator[:-1].transform(features)
    visited = classifier.estimator["tree"].decision_path(offered).toarray()
    leaves = classifier.estimator["tree"].apply(offered)
    decisions = decide(classifier, features)
    assert len({d.path.leaf for d in decisions if d.path}) > 2
    for decision, own, leaf in zip(decisions, visited, leaves, strict=True):
        path = decision.path
        assert path is not None
        assert sorted(path.nodes) == np.flatnonzero(own).tolist()
        assert path.leaf == leaf
        node = 0
        for step in path.steps:
            record = nodes[node]
            assert step.node == node
            assert (step.feature, step.threshold) == (record["feature"], record["threshold"])
            assert step.name == record.get("name")
            assert step.went_left == (step.value <= step.threshold)
            node = record["left" if step.went_left else "right"]
        assert node == path.leaf
        np.testing.assert_allclose(nodes[node]["distribution"], decision.probabilities)


def change(folder: Path, **changes: Any) -> None:
    path = folder / "results.json"
    result = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in (result | changes).items() if v is not None}))


def test_errors_of_loading_a_classifier(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job(params=ClassificationParams())
    run_classify_job(job)
    folder = next(job.out.iterdir())
    with pytest.raises(StoreError, match=r"results\.json does not exist"):
        load_classifier(tmp_path, "linear")
    with pytest.raises(StoreError, match="no classifier 'forest'; it has: linear, tree"):
        load_classifier(folder, "forest")
    (folder / "tree.skops").write_bytes(b"not a zip file")
    with pytest.raises(StoreError, match=r"tree.skops cannot be read"):
        load_classifier(folder, "tree")
    (folder / "tree.skops").unlink()
    with pytest.raises(StoreError, match=r"tree.skops does not exist.*only the scores"):
        load_classifier(folder, "tree")
    change(folder, samples=None, features=None)
    with pytest.raises(StoreError, match="older version"):
        load_classifier(folder, "linear")


def test_results_store_relative_paths(make_job: MakeJob) -> None:
    job = make_job(places=("tiny/rows/train", "tiny/rows/test"))
    run_classify_job(job)
    folder = next(job.out.iterdir())
    result = load_classifier(folder, "linear").result
    assert (result["samples"], result["features"]) == (["tiny/rows/train", "tiny/rows/test"], "layer_3/3k")
    assert "samples" not in result["settings"]
    assert run_classify_job(make_job(places=("elsewhere",))).reused == 1
