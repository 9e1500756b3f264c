"""Conversion of MOSAIC's published result files (arXiv 2502.11367) to results.json.

A `sae_classifier_results.json` or `hidden_classifier_results.json` describes one run: a linear probe and a decision
tree on one (model, layer, SAE width, dataset, top-n, threshold) and, in some versions, a bag-of-words baseline.
Values that the file lacks are null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saefari.errors import StoreError
from saefari.fingerprint import fingerprint
from saefari.store.external_json import JsonNode, read_json_document
from saefari.store.mosaic_models import ImportedClassifier, read_bag_of_words, read_linear, read_tree
from saefari.store.mosaic_settings import SUFFIX, Settings, read_settings, tfidf_settings

PATTERN = f"*{SUFFIX}"
_MODELS = {"linearProbe": ("linear", read_linear), "decisionTree": ("tree", read_tree)}
_BAG_OF_WORDS = "bow_baseline"
_LABELS = ("model", "model_type", "dataset", "config", "split", "text_field", "layer", "width", "source")
_SETTING = ("pooling", "top_n", "binarize", "select_k", "variant")

_ALWAYS = (
    "Imported from MOSAIC: split, tuning and seeding are MOSAIC's, not SAEfari's.",
    "MOSAIC cross-validates accuracy, not macro-F1: cv_macro_f1 is empty, and this result is ignored when the best "
    "settings are chosen.",
    "The file contains no predictions: there are no intervals, confusion matrix or samples.",
)
_OF_A_LAYER = (
    "MOSAIC uses Hugging Face's hidden_states[L], the input of block L; in SAEfari, layer L is the output of block L."
)
_OF_SOURCE = {
    "hidden": "MOSAIC's hidden-state baseline uses the last position only; whether it is a special token is not "
    "recorded.",
    "sae": "Whether special tokens and padding were included is not recorded.",
    "tfidf": "MOSAIC's bag-of-words baseline, read from the file of another result; it is not cross-validated.",
}
_EARLY = "An early file: dataset, split and width were taken from its path; top-n and threshold are not recorded."
_UNSIGNED = "The class of the probe's weights is not recorded: only their absolute values are kept."


@dataclass(frozen=True)
class MosaicResult:
    """Converted result.

    result: content of results.json, with the model and dataset names of the file.
    problems: `key: message` for each value that could not be read; it is null in the result.
    unused: keys of the file without a counterpart in results.json.
    """

    result: dict[str, Any]
    problems: list[str]
    unused: list[str]


def dataset_folders(paths: Sequence[Path]) -> dict[str, str]:
    """Return MOSAIC's folder name -> dataset name, for all folder names that stand for exactly one dataset."""
    names: dict[str, set[str]] = {}
    for path in paths:
        try:
            document, _ = read_json_document(path)
        except StoreError:
            continue  # reported on import
        name = document["metadata"]["dataset"]["name"].value
        if isinstance(name, str):
            names.setdefault(name.replace("/", "_"), set()).add(name)
    return {folder: next(iter(found)) for folder, found in names.items() if len(found) == 1}


def read_mosaic(path: Path, name: str, datasets: Mapping[str, str] | None = None) -> list[MosaicResult]:
    """Convert one file: its main result, then its bag-of-words baseline if it has one.

    name: machine-independent name of the file. datasets: see `dataset_folders`; needed for early files.
    Raises StoreError if it is not a JSON object, has no classifier, or lacks the model, dataset or layer of its result.
    """
    document, sha256 = read_json_document(path)
    settings = read_settings(document, path, datasets or {})
    classes = _classes(document)
    classifiers = {}
    for key, (classifier, read) in _MODELS.items():
        if key in document["models"]:
            classifiers[classifier] = read(document["models"][key], classes)
        else:
            document["models"][key].add_problem("an object")
    created = document["metadata"]["timestamp"].text()
    if settings is None or not classifiers:
        raise StoreError("; ".join(document.problem_lines()))
    origin = {"format": "mosaic", "file": name, "sha256": sha256}
    words = read_bag_of_words(document[_BAG_OF_WORDS]) if _BAG_OF_WORDS in document else None
    problems, unused = document.problem_lines(), document.unread_keys()
    warnings = [*_ALWAYS, _OF_A_LAYER, _OF_SOURCE[settings["source"]]]
    warnings += [_EARLY] if not settings["pooling"] else []
    warnings += [_UNSIGNED] if any(one.unsigned for one in classifiers.values()) else []
    warnings += [f"Unreadable value: {problem}" for problem in problems]
    warnings += [f"Keys without a counterpart in SAEfari: {', '.join(unused)}"] if unused else []
    result = _result(origin, settings, classes, classifiers, warnings, created)
    found = [MosaicResult(result, problems, unused)]
    if words is not None:
        names, baseline = words
        # All files of a dataset repeat the baseline, so it is identified by its own content.
        origin = origin | {"sha256": fingerprint(document[_BAG_OF_WORDS].value)}
        warnings = [*_ALWAYS, _OF_SOURCE["tfidf"]]
        words_result = _result(origin, tfidf_settings(settings), names, {"linear": baseline}, warnings, created)
        found.append(MosaicResult(words_result, [], []))
    return found


def _result(
    origin: dict[str, str],
    settings: Settings,
    classes: list[str],
    classifiers: Mapping[str, ImportedClassifier],
    warnings: list[str],
    created: str | None,
) -> dict[str, Any]:
    """Build the content of results.json."""
    counts = {
        "n_train": next((one.n_train for one in classifiers.values() if one.n_train is not None), None),
        "n_test": next((one.n_test for one in classifiers.values() if one.n_test is not None), None),
    }
    scores = {name: one.scores for name, one in classifiers.items()}
    return {
        "imported_from": origin,
        "fingerprint": fingerprint({"mosaic": origin["sha256"]}),
        "settings": settings,
        "classes": classes,
        **counts,
        "dropped_classes": {},
        "warnings": warnings,
        "classifiers": scores,
        "summary": [_row(name, one, settings, counts) for name, one in scores.items()],
        "libraries": {},
        "created": created,
    }


def _classes(document: JsonNode) -> list[str]:
    """Return the class names in order; without `class_names`, those of the first classification report."""
    metadata, models = document["metadata"], document["models"]
    names = metadata["class_names"].items() if "class_names" in metadata else None
    if names and all(isinstance(one, (str, int, float)) for one in names) and len({*map(str, names)}) == len(names):
        return [str(one) for one in names]
    if names is not None:
        metadata["class_names"].add_problem("a list of distinct names")
    reports = [models[key]["class_metrics"] for key in _MODELS if key in models]
    return next((report.keys() for report in reports if report.keys()), [])


def _row(name: str, scores: dict[str, Any], settings: dict[str, Any], counts: dict[str, Any]) -> dict[str, Any]:
    """Build the row of summary.csv."""
    return {
        **{key: settings[key] for key in (*_LABELS, *_SETTING)},
        "text_field": settings["text_field"] or "",
        "classifier": name,
        **{key: scores[key] for key in ("macro_f1", "macro_precision", "macro_recall", "accuracy", "roc_auc")},
        "macro_f1_low": None,
        "macro_f1_high": None,
        "cv_macro_f1": None,
        "cv_accuracy": scores["cross_validation"]["accuracy"],
        "caution": "",
        **counts,
        "n_features": scores["n_features"],
        "seconds": None,
    }
