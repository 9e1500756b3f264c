"""Result trees in the format of MOSAIC (arXiv 2502.11367), for tests and benchmarks: same keys, shapes and folders.

`<root>/<model>/<dataset>/layer_<L>/<width>/<time>/{sae,hidden}_classifier_results.json`, each from a probe and a tree
fitted by scikit-learn on a small random dataset.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import classification_report, roc_curve
from sklearn.preprocessing import label_binarize
from sklearn.tree import DecisionTreeClassifier

N_FEATURES = 30
N_TRAIN, N_TEST = 80, 40


def mosaic_document(
    hidden: bool = False,
    classes: Sequence[Any] = ("Harmful", "Harmless"),
    layer: int = 12,
    seed: int = 0,
    **args: Any,
) -> dict[str, Any]:
    """Return the content of one file. args: changes to the default arguments of MOSAIC's classification script."""
    rng = np.random.default_rng(seed)
    truth = np.arange(N_TRAIN + N_TEST) % len(classes)
    features = rng.poisson(1.0, (len(truth), N_FEATURES)) + (truth[:, None] == np.arange(N_FEATURES) % 5) * 2.0
    train, test = slice(0, N_TRAIN), slice(N_TRAIN, None)
    probe = LogisticRegression(max_iter=500).fit(features[train], truth[train])
    tree = DecisionTreeClassifier(max_depth=3, random_state=42).fit(features[train], truth[train])
    arguments = {
        "input_dir": "./output/activations",
        "dashboard_dir": "./output/classifications",
        "model_name": "google/gemma-2-2b",
        "model_type": "llm",
        "sae_location": "res",
        "layer": "5,12,19",
        "width": "16k",
        "dataset_name": "Anthropic/election_questions",
        "dataset_config_name": None,
        "dataset_split": "test",
        "top_n": 0,
        "binarize_value": None,
        "last_token": False,
        "test_size": 0.2,
        "random_state": 42,
        "tree_depth": 5,
        "save_plots": True,
        "cv_folds": 5,
        "linear_c_values": [0.1, 1.0, 10.0],
        "tree_min_samples_split": 2,
        "tree_min_samples_leaf": 1,
        "all_tokens": False,
    } | args
    structure = tree.tree_
    linear_model = _model(probe, features[test], truth[test], classes)
    linear_model["feature_analysis"] = _analysis(
        probe.coef_.tolist(), np.abs(probe.coef_).mean(axis=0), linear_model.pop("roc_analysis")
    )
    tree_model = _model(tree, features[test], truth[test], classes)
    tree_model["hyperparameters"] = {"best_params": {"max_depth": 3, "min_samples_leaf": 1}, "search_space": {}}
    tree_model["feature_analysis"] = _analysis(
        tree.feature_importances_.tolist(), tree.feature_importances_, tree_model.pop("roc_analysis")
    )
    tree_model["tree_structure"] = {
        "topology": {
            "children_left": structure.children_left.tolist(),
            "children_right": structure.children_right.tolist(),
            "feature_indices": structure.feature.tolist(),
            "feature_names": [f"Feature {index}" for index in structure.feature],
        },
        "node_data": {
            "thresholds": structure.threshold.tolist(),
            "samples": structure.n_node_samples.tolist(),
            "impurity": structure.impurity.tolist(),
            "values": structure.value.tolist(),
        },
    }
    return {
        "metadata": {
            "model": {"name": arguments["model_name"], "layer": layer, "type": arguments["model_type"]},
            "dataset": {"name": arguments["dataset_name"], "hidden": hidden},
            "training": {key: arguments[key] for key in ("test_size", "random_state", "cv_folds")},
            "args": arguments,
            "timestamp": "2024-11-21T19:18:13.114833",
            "class_names": list(classes),
        },
        "models": {"linearProbe": linear_model, "decisionTree": tree_model},
    }


def write_mosaic_tree(root: Path, layers: Sequence[int] = (5, 12), widths: Sequence[str] = ("16k",)) -> list[Path]:
    """Write four runs (two top-n, two thresholds) per layer and width, each with an SAE and a hidden-state file."""
    paths = []
    for seed, (layer, width) in enumerate((layer, width) for layer in layers for width in widths):
        for run, (top_n, threshold) in enumerate([(0, None), (0, "1.0"), (20, None), (20, "1.0")]):
            args = {"width": width, "top_n": top_n, "binarize_value": threshold}
            time = f"20241121_1918{10 * layer % 60:02d}_{run}"
            folder = root / "google_gemma-2-2b" / "Anthropic_election_questions" / f"layer_{layer}" / width / time
            for source in ("hidden", "sae"):
                document = mosaic_document(source == "hidden", layer=layer, seed=10 * seed + run, **args)
                paths.append(write_document(folder / f"{source}_classifier_results.json", document))
    return paths


def with_bag_of_words(document: dict[str, Any], f1: float) -> dict[str, Any]:
    """Return the document with the bag-of-words baseline that later versions contain."""
    classes = [str(name) for name in document["metadata"]["class_names"]]
    line = {"precision": f1, "recall": f1, "f1-score": f1, "support": 20.0}
    report = {**dict.fromkeys(classes, line), "accuracy": f1, "macro avg": line, "weighted avg": line}
    curve = {"fpr": [0.0, 0.2, 1.0], "tpr": [0.0, 0.9, 1.0]}
    baseline = {"accuracy": f1, "classification_report": report, "classes": classes, "n_classes": len(classes)}
    return document | {"bow_baseline": baseline | {"roc_auc": 0.93, "roc_curve": curve}}


def early_document() -> dict[str, Any]:
    """Return a document of the first versions, without arguments, dataset and class names."""
    document = mosaic_document()
    for key in ("args", "dataset", "class_names"):
        del document["metadata"][key]
    return document


def write_document(path: Path, document: object) -> Path:
    """Write a document as JSON; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2))
    return path


def _model(estimator: Any, features: np.ndarray, truth: np.ndarray, classes: Sequence[Any]) -> dict[str, Any]:
    names = [str(name) for name in classes]
    predicted, probabilities = estimator.predict(features), estimator.predict_proba(features)
    report = classification_report(truth, predicted, target_names=names, output_dict=True, zero_division=0)
    lines = {
        key: {**{k: v for k, v in line.items() if k != "f1-score"}, "f1_score": line["f1-score"]}
        for key, line in report.items()
        if key != "accuracy"
    }
    if len(names) == 2:
        roc = _curve(truth, probabilities[:, 1])
    else:
        indicators = label_binarize(truth, classes=range(len(names)))
        roc = {name: _curve(indicators[:, k], probabilities[:, k]) for k, name in enumerate(names)}
        roc["micro"] = _curve(indicators.ravel(), probabilities.ravel())
    folds = [0.8, 0.85, 0.9, 0.8, 0.75]
    return {
        "performance": {
            "accuracy": float((predicted == truth).mean()),
            "cross_validation": {"mean_accuracy": 0.82, "std_accuracy": 0.05, "fold_scores": folds},
        },
        "class_metrics": {name: lines[name] for name in names},
        "aggregated_metrics": {key: lines[key] for key in ("macro avg", "weighted avg")},
        "roc_analysis": roc,
    }


def _curve(truth: np.ndarray, scores: np.ndarray) -> dict[str, list[float]]:
    false_rate, true_rate, _ = roc_curve(truth, scores)
    return {"fpr": false_rate.tolist(), "tpr": true_rate.tolist()}


def _analysis(stored: list[Any], sizes: np.ndarray, roc: dict[str, Any]) -> dict[str, Any]:
    best = np.argsort(-sizes, kind="stable")[:10]
    return {
        "importance_scores": stored,
        "top_features": [{"index": int(i), "score": float(sizes[i]), "name": f"Feature {i}"} for i in best],
        "roc_analysis": roc,
    }
