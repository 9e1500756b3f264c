"""Conversion of MOSAIC's files: values are kept, missing ones are null, and every invalid one is reported."""

from __future__ import annotations

import contextlib
import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import auc

from saefari.errors import StoreError
from saefari.report.results.summary import COLUMNS
from saefari.store.mosaic import MosaicResult, read_mosaic
from tests.store.mosaic_tree import N_FEATURES, N_TEST, N_TRAIN, mosaic_document, write_document


def convert(folder: Path, document: object, name: str = "sae_classifier_results.json") -> MosaicResult:
    return read_mosaic(write_document(folder / name, document), name)[0]


def test_scores_equal_those_of_the_file(tmp_path: Path) -> None:
    document = mosaic_document(binarize_value="1.0", top_n=20)
    converted = convert(tmp_path, document)
    theirs = document["models"]["linearProbe"]
    ours = converted.result["classifiers"]["linear"]
    assert converted.problems == []
    assert ours["accuracy"] == theirs["performance"]["accuracy"]
    assert ours["macro_f1"] == theirs["aggregated_metrics"]["macro avg"]["f1_score"]
    assert ours["weighted_f1"] == theirs["aggregated_metrics"]["weighted avg"]["f1_score"]
    assert ours["per_class"]["Harmful"] == {
        "precision": theirs["class_metrics"]["Harmful"]["precision"],
        "recall": theirs["class_metrics"]["Harmful"]["recall"],
        "f1": theirs["class_metrics"]["Harmful"]["f1_score"],
        "support": N_TEST // 2,
    }
    curve = theirs["feature_analysis"]["roc_analysis"]
    assert ours["roc"] == {"Harmless": curve}
    assert ours["roc_auc"] == pytest.approx(auc(curve["fpr"], curve["tpr"]))
    assert ours["cross_validation"]["accuracy_folds"] == [0.8, 0.85, 0.9, 0.8, 0.75]
    assert converted.result["classes"] == ["Harmful", "Harmless"]
    assert (converted.result["n_train"], converted.result["n_test"]) == (N_TRAIN, N_TEST)


def test_values_missing_in_the_file_are_null(tmp_path: Path) -> None:
    result = convert(tmp_path, mosaic_document()).result
    for scores in result["classifiers"].values():
        assert scores["macro_f1_interval"] is scores["confusion"] is scores["cross_validation"]["macro_f1"] is None
    for row in result["summary"]:
        assert set(row) == set(COLUMNS) - {"folder", "trained_on"}
        assert row["cv_macro_f1"] is row["macro_f1_low"] is row["macro_f1_high"] is row["seconds"] is None


def test_unused_keys_are_listed(tmp_path: Path) -> None:
    document = mosaic_document()
    assert not [key for key in convert(tmp_path, document).unused if "best_params" in key or "config_name" in key]
    document["metadata"]["new"] = {"a": 1}
    document["models"]["linearProbe"]["class_metrics"]["Other"] = {}
    document["third"] = 3
    added = {"metadata.new", "models.linearProbe.class_metrics.Other", "third"}
    assert added <= set(convert(tmp_path, document).unused)


def test_result_records_its_origin_and_limitations(tmp_path: Path) -> None:
    converted = convert(tmp_path, mosaic_document())
    origin = converted.result["imported_from"]
    assert (origin["format"], origin["file"], len(origin["sha256"])) == ("mosaic", "sae_classifier_results.json", 64)
    warnings = "\n".join(converted.result["warnings"])
    for phrase in ("not macro-F1", "no predictions", "hidden_states[L]", "metadata.args.input_dir"):
        assert phrase in warnings


@pytest.mark.parametrize(
    ("args", "pooling", "top_n", "binarize"),
    [
        ({"top_n": 0, "binarize_value": None}, "sum", 0, None),
        ({"top_n": 20, "binarize_value": "None"}, "count", 20, None),
        ({"top_n": -1, "binarize_value": 1}, "count", -1, 1.0),
        ({"top_n": 5, "binarize_value": "0.5", "last_token": True}, "last", 5, 0.5),
    ],
)
def test_settings_are_translated(
    tmp_path: Path, args: dict[str, Any], pooling: str, top_n: int, binarize: float | None
) -> None:
    settings = convert(tmp_path, mosaic_document(**args)).result["settings"]
    assert (settings["pooling"], settings["top_n"], settings["binarize"]) == (pooling, top_n, binarize)
    assert (settings["source"], settings["width"], settings["layer"]) == ("sae", "16k", 12)


@pytest.mark.parametrize(("top_n", "threshold", "kept"), [(0, None, (None, None)), (20, "1.0", (20, 1.0))])
def test_hidden_state_baseline_has_no_width(
    tmp_path: Path, top_n: int, threshold: str | None, kept: tuple[int | None, float | None]
) -> None:
    document = mosaic_document(hidden=True, top_n=top_n, binarize_value=threshold)
    settings = convert(tmp_path, document, "hidden_classifier_results.json").result["settings"]
    assert (settings["source"], settings["pooling"], settings["width"]) == ("hidden", "last", None)
    assert (settings["top_n"], settings["binarize"]) == kept


def test_file_name_overrides_a_wrong_hidden_flag(tmp_path: Path) -> None:
    converted = convert(tmp_path, mosaic_document(hidden=True))
    assert converted.result["settings"]["source"] == "sae"
    assert any(problem.startswith("metadata.dataset.hidden:") for problem in converted.problems)
    assert convert(tmp_path, mosaic_document(hidden=True), "classifier_results.json").result["settings"]["source"] == (
        "hidden"
    )


def test_three_classes_have_a_curve_and_signed_weights_each(tmp_path: Path) -> None:
    document = mosaic_document(classes=["against", "favor", "none"])
    converted = convert(tmp_path, document)
    scores = converted.result["classifiers"]["linear"]
    weights = document["models"]["linearProbe"]["feature_analysis"]["importance_scores"]
    assert list(scores["roc"]) == list(scores["top_features"]) == ["against", "favor", "none"]
    for name, row in zip(scores["top_features"], weights, strict=True):
        first = scores["top_features"][name][0]
        assert first["feature"] == int(np.abs(row).argmax())
        assert first["weight"] == row[first["feature"]]
        assert first["direction"] == ("for" if first["weight"] > 0 else "against")
    curves = document["models"]["linearProbe"]["feature_analysis"]["roc_analysis"]
    areas = [auc(curves[name]["fpr"], curves[name]["tpr"]) for name in scores["roc"]]
    assert scores["roc_auc"] == pytest.approx(np.mean(areas))
    assert scores["roc_micro"] == curves["micro"]
    assert not [key for key in converted.unused if "roc_analysis" in key]


def test_one_row_of_weights_favours_the_second_of_two_classes(tmp_path: Path) -> None:
    document = mosaic_document()
    document["models"]["linearProbe"]["feature_analysis"]["importance_scores"] = [[0.0, -3.0, 1.0]]
    document["models"]["linearProbe"]["feature_analysis"]["top_features"][0] = {"index": 1, "name": "legal terms"}
    scores = convert(tmp_path, document).result["classifiers"]["linear"]
    assert scores["top_features"] == {
        "Harmful": [
            {"feature": 1, "name": "legal terms", "weight": 3.0, "direction": "for"},
            {"feature": 2, "weight": -1.0, "direction": "against"},
        ],
        "Harmless": [
            {"feature": 1, "name": "legal terms", "weight": -3.0, "direction": "against"},
            {"feature": 2, "weight": 1.0, "direction": "for"},
        ],
    }
    assert scores["n_features"] == 3


def test_weights_have_the_signs_of_the_fitted_probe(tmp_path: Path) -> None:
    """Feature 1 is larger in rows of the second class, feature 0 in rows of the first."""
    scores = convert(tmp_path, mosaic_document()).result["classifiers"]["linear"]
    weights = {one["feature"]: one["weight"] for one in scores["top_features"]["Harmless"]}
    assert weights[1] > 0 > weights[0]


def test_one_row_of_weights_for_three_classes_loses_its_signs(tmp_path: Path) -> None:
    document = mosaic_document(classes=["a", "b", "c"])
    document["models"]["linearProbe"]["feature_analysis"]["importance_scores"] = [[0.0, -3.0, 1.0]]
    converted = convert(tmp_path, document)
    listed = converted.result["classifiers"]["linear"]["top_features"]
    assert [(one["feature"], one["importance"]) for one in listed] == [(1, 3.0), (2, 1.0)]
    assert any("only their absolute values" in warning for warning in converted.result["warnings"])


def test_averages_fold_deviation_and_impurity_are_kept(tmp_path: Path) -> None:
    document = mosaic_document()
    result = convert(tmp_path, document).result
    theirs, ours = document["models"]["linearProbe"], result["classifiers"]["linear"]
    for how in ("macro", "weighted"):
        for name in ("precision", "recall"):
            assert ours[f"{how}_{name}"] == theirs["aggregated_metrics"][f"{how} avg"][name]
    assert (ours["cross_validation"]["accuracy"], ours["cross_validation"]["accuracy_std"]) == (0.82, 0.05)
    row = result["summary"][0]
    assert (row["macro_precision"], row["macro_recall"]) == (ours["macro_precision"], ours["macro_recall"])
    assert row["cv_accuracy"] == 0.82
    impurity = document["models"]["decisionTree"]["tree_structure"]["node_data"]["impurity"]
    assert [node["impurity"] for node in result["classifiers"]["tree"]["nodes"]] == impurity


def test_tree_nodes_equal_scikit_learn_arrays(tmp_path: Path) -> None:
    document = mosaic_document(classes=["a", "b", "c"])
    scores = convert(tmp_path, document).result["classifiers"]["tree"]
    topology = document["models"]["decisionTree"]["tree_structure"]["topology"]
    root, nodes = scores["nodes"][0], scores["nodes"]
    assert len(nodes) == len(topology["children_left"])
    assert (root["feature"], root["left"], root["n_rows"]) == (topology["feature_indices"][0], 1, N_TRAIN)
    assert nodes[root["left"]]["n_rows"] + nodes[root["right"]]["n_rows"] == N_TRAIN
    assert all(sum(node["distribution"]) == pytest.approx(1) for node in nodes)
    assert all("feature" not in node for node, left in zip(nodes, topology["children_left"], strict=True) if left < 0)
    assert scores["chosen"] == {"max_depth": 3, "min_samples_leaf": 1}
    assert scores["n_features"] == N_FEATURES
    document["models"]["decisionTree"]["tree_structure"]["node_data"]["values"] = [
        [[40.0 * share for share in values[0]]]
        for values in document["models"]["decisionTree"]["tree_structure"]["node_data"]["values"]
    ]
    counted = convert(tmp_path, document).result["classifiers"]["tree"]["nodes"]
    assert counted[0]["distribution"] == pytest.approx(root["distribution"])


@pytest.mark.parametrize("child", [0, 2, 10**6])
def test_arrays_that_do_not_form_a_tree_give_none(tmp_path: Path, child: int) -> None:
    document = mosaic_document()
    document["models"]["decisionTree"]["tree_structure"]["topology"]["children_left"][0] = child
    converted = convert(tmp_path, document)
    assert converted.result["classifiers"]["tree"]["nodes"] is None
    assert any("tree_structure: expected a tree" in problem for problem in converted.problems)


def test_invalid_and_missing_values_are_null_and_reported_by_key(tmp_path: Path) -> None:
    document = mosaic_document()
    document["models"]["linearProbe"]["performance"]["accuracy"] = "0.9"
    document["models"]["decisionTree"]["aggregated_metrics"] = []
    document["metadata"]["training"]["random_state"] = True
    del document["models"]["decisionTree"]["tree_structure"]
    converted = convert(tmp_path, document)
    assert sorted(problem.split(":")[0] for problem in converted.problems) == [
        "metadata.training.random_state",
        "models.decisionTree.aggregated_metrics",
        "models.decisionTree.tree_structure",
        "models.linearProbe.performance.accuracy",
    ]
    assert converted.result["classifiers"]["linear"]["accuracy"] is None
    assert converted.result["classifiers"]["tree"]["macro_f1"] is None
    assert any("expected a number from 0 to 1, found a string ('0.9')" in problem for problem in converted.problems)


def test_file_with_one_classifier_is_converted(tmp_path: Path) -> None:
    document = mosaic_document()
    del document["models"]["decisionTree"]
    converted = convert(tmp_path, document)
    assert list(converted.result["classifiers"]) == ["linear"]
    assert converted.problems == ["models.decisionTree: missing"]


def test_numeric_labels_become_strings(tmp_path: Path) -> None:
    converted = convert(tmp_path, mosaic_document(classes=[0, 1]))
    assert converted.result["classes"] == ["0", "1"]
    assert converted.problems == []


@pytest.mark.parametrize(
    ("place", "key"),
    [("model", "name"), ("model", "layer"), ("dataset", "name"), ("args", "dataset_split"), ("args", "width")],
)
def test_missing_required_setting_is_an_error_with_its_key(tmp_path: Path, place: str, key: str) -> None:
    document = mosaic_document()
    document["metadata"][place][key] = None
    with pytest.raises(StoreError, match=rf"metadata\.{place}\.{key}: missing"):
        convert(tmp_path, document)


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b"\xff\xfe{", b"[" * 100_000, b'{"metadata": {}, "models": {}}']
)
def test_invalid_file_is_a_one_line_error(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "sae_classifier_results.json"
    path.write_bytes(raw)
    with pytest.raises(StoreError) as caught:
        read_mosaic(path, path.name)
    assert "\n" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
COMPLETE = mosaic_document(classes=["a", "b", "c"])


def places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return every place of a document; of lists only the first two entries."""
    inner = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    return [place] * bool(place) + [deeper for key, one in inner for deeper in places(one, (*place, key))]


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(places(COMPLETE)), JSON), min_size=1, max_size=4))
def test_arbitrarily_changed_files_never_crash(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[tuple[Any, ...], Any]]
) -> None:
    document = copy.deepcopy(COMPLETE)
    for place, value in changes:
        holder: Any = document
        try:
            for key in place[:-1]:
                holder = holder[key]
            holder[place[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue  # removed by an earlier change
    folder = tmp_path_factory.mktemp("mangled")
    with contextlib.suppress(StoreError):
        json.dumps(convert(folder, document).result, allow_nan=False, ensure_ascii=False).encode()
