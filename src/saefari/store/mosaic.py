"""MOSAIC's published result files (arXiv 2502.11367), converted into our results.json.

One `sae_classifier_results.json` or `hidden_classifier_results.json` is one run: a linear probe and a decision tree
on one (model, layer, SAE width, dataset, top-n, threshold), and in some versions a bag-of-words baseline beside them.
What such a file does not hold stays null.
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
    "Imported from MOSAIC: split, tuning and seeding are MOSAIC's, not those of this program's own results.",
    "MOSAIC cross-validates accuracy, not macro-F1: there is no cv_macro_f1, and best settings are chosen without "
    "this result.",
    "The file holds no predictions: no intervals, confusion matrix or samples.",
)
_OF_A_LAYER = (
    "MOSAIC's code reads Hugging Face's hidden_states[L], the input of block L; here layer L is that block's output."
)
_OF_SOURCE = {
    "hidden": "MOSAIC's hidden-state baseline reads one position, the last; whether that is a special token is not "
    "recorded.",
    "sae": "Whether special tokens and padding were counted is not recorded.",
    "tfidf": "MOSAIC's bag-of-words baseline, read from a file of another result; it is not cross-validated.",
}
_EARLY = "An early file: dataset, split and width are those of its folders; top-n and threshold are not recorded."
_UNSIGNED = "The probe's weights are stored without the class they speak for: only their size is kept."


@dataclass(frozen=True)
class MosaicResult:
    """One converted result.

    result: the content of results.json, with the names of model and dataset as the file spells them.
    problems: `key: what is wrong` for each value that could not be read, and is null in the result.
    unused: keys that have no counterpart in our results.
    """

    result: dict[str, Any]
    problems: list[str]
    unused: list[str]


def dataset_folders(paths: Sequence[Path]) -> dict[str, str]:
    """MOSAIC's folder name -> dataset name, of every dataset that a file names and whose folder no other shares."""
    names: dict[str, set[str]] = {}
    for path in paths:
        try:
            document, _ = read_json_document(path)
        except StoreError:
            continue  # told when it is imported
        name = document["metadata"]["dataset"]["name"].value
        if isinstance(name, str):
            names.setdefault(name.replace("/", "_"), set()).add(name)
    return {folder: next(iter(found)) for folder, found in names.items() if len(found) == 1}


def read_mosaic(path: Path, name: str, datasets: Mapping[str, str] | None = None) -> list[MosaicResult]:
    """Convert one file: the result that it is named after, then its bag-of-words baseline where it holds one.

    name: how to refer to it, not depending on the machine. datasets: see `dataset_folders`; it completes early files.
    Raises StoreError when it is no JSON object, or does not say where its result belongs, or holds no classifier.
    """
    document, sha256 = read_json_document(path)
    settings = read_settings(document, path, datasets or {})
    classes = _classes(document)
    classifiers = {}
    for key, (ours, read) in _MODELS.items():
        if key in document["models"]:
            classifiers[ours] = read(document["models"][key], classes)
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
    warnings += [f"Could not be read: {problem}" for problem in problems]
    warnings += [f"No counterpart here: {', '.join(unused)}"] if unused else []
    result = _result(origin, settings, classes, classifiers, warnings, created)
    found = [MosaicResult(result, problems, unused)]
    if words is not None:
        names, baseline = words
        # Every file of a dataset repeats the baseline: its own content tells one from another.
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
    """The content of results.json."""
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
    """The classes' names in their order; the reports list them in the same one."""
    metadata, models = document["metadata"], document["models"]
    names = metadata["class_names"].items() if "class_names" in metadata else None
    if names and all(isinstance(one, (str, int, float)) for one in names) and len({*map(str, names)}) == len(names):
        return [str(one) for one in names]
    if names is not None:
        metadata["class_names"].add_problem("a list of different names")
    reports = [models[key]["class_metrics"] for key in _MODELS if key in models]
    return next((report.keys() for report in reports if report.keys()), [])


def _row(name: str, scores: dict[str, Any], settings: dict[str, Any], counts: dict[str, Any]) -> dict[str, Any]:
    """The row of summary.csv."""
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
