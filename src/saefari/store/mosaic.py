"""MOSAIC's published result files (arXiv 2502.11367), converted into our results.json.

One `sae_classifier_results.json` or `hidden_classifier_results.json` is one run: a linear probe and a decision tree
on one (model, layer, SAE width, dataset, top-n, threshold). What such a file does not hold stays null.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saefari.errors import StoreError
from saefari.fingerprint import fingerprint
from saefari.store.foreign import Foreign, read_foreign
from saefari.store.mosaic_models import read_linear, read_tree

PATTERN = "*classifier_results.json"
_SUFFIX = "classifier_results.json"
_SOURCES = {"sae": "sae", "hidden": "hidden"}
_REPEATED = ("model_name", "model_type", "dataset_name", "layer", "test_size", "random_state", "cv_folds")
_MODELS = {"linearProbe": ("linear", read_linear), "decisionTree": ("tree", read_tree)}
_MOST = 10**9
_LABELS = ("model", "model_type", "dataset", "config", "split", "layer", "width", "source")
_SETTING = ("pooling", "top_n", "binarize", "select_k")

_ALWAYS = (
    "Imported from MOSAIC: split, tuning and seeding are MOSAIC's, not those of this program's own results.",
    "MOSAIC cross-validates accuracy, not macro-F1: there is no cv_macro_f1, and best settings are chosen without "
    "this result.",
    "The file holds no predictions: no intervals, confusion matrix or samples.",
    "MOSAIC's code reads Hugging Face's hidden_states[L], the input of block L; here layer L is that block's output.",
)
_HIDDEN = (
    "MOSAIC's hidden-state baseline reads one position, the last; whether that is a special token is not recorded."
)
_SAE = "Whether special tokens and padding were counted is not recorded."
_UNSIGNED = "The probe's weights are stored without the class they speak for: only their size is kept."


@dataclass(frozen=True)
class MosaicResult:
    """One converted file.

    result: the content of results.json, with the names of model and dataset as the file spells them.
    problems: `key: what is wrong` for each value that could not be read, and is null in the result.
    unused: keys that have no counterpart in our results.
    """

    result: dict[str, Any]
    problems: list[str]
    unused: list[str]


def read_mosaic(path: Path, name: str) -> MosaicResult:
    """Convert one file. name: how to refer to it, not depending on the machine.

    Raises StoreError when it is no JSON object, or does not say where its result belongs, or holds no classifier.
    """
    document, sha256 = read_foreign(path)
    metadata = document["metadata"]
    settings = _settings(metadata, path.name)
    classes = _classes(document)
    classifiers = {}
    for key, (ours, read) in _MODELS.items():
        if key in document["models"]:
            classifiers[ours] = read(document["models"][key], classes)
        else:
            document["models"][key].complain("an object")
    created = metadata["timestamp"].text()
    if settings is None or not classifiers:
        raise StoreError("; ".join(document.told()))
    n_test = next((one.n_test for one in classifiers.values() if one.n_test is not None), None)
    n_train = next((one.n_train for one in classifiers.values() if one.n_train is not None), None)
    problems, unused = document.told(), document.unread()
    warnings = [*_ALWAYS, _SAE if settings["source"] == "sae" else _HIDDEN]
    warnings += [_UNSIGNED] if any(one.unsigned for one in classifiers.values()) else []
    warnings += [f"Could not be read: {problem}" for problem in problems]
    warnings += [f"No counterpart here: {', '.join(unused)}"] if unused else []
    scores = {one_name: one.scores for one_name, one in classifiers.items()}
    counts = {"n_train": n_train, "n_test": n_test}
    result = {
        "imported_from": {"format": "mosaic", "file": name, "sha256": sha256},
        "fingerprint": fingerprint({"mosaic": sha256}),
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
    return MosaicResult(result, problems, unused)


def _settings(metadata: Foreign, file_name: str) -> dict[str, Any] | None:
    """What says where a result belongs, and the little else that is known; None when a part of the place is missing."""
    args, training = metadata["args"], metadata["training"]
    for key in _REPEATED:
        args[key]  # the same values stand outside args
    source = _source(metadata["dataset"], file_name)
    place = {
        "model": metadata["model"]["name"].text(),
        "dataset": metadata["dataset"]["name"].text(),
        "split": args["dataset_split"].text(),
        "layer": metadata["model"]["layer"].integer(0, 10_000),
        "source": source,
    }
    if source == "sae":
        place |= {"width": args["width"].text(), "top_n": args["top_n"].integer(-1, _MOST)}
    if None in place.values():
        return None
    config = args["dataset_config_name"].text() if "dataset_config_name" in args else ""
    reads_last = "last_token" in args and args["last_token"].flag()
    pooling = "last" if source == "hidden" or reads_last else "sum" if place["top_n"] == 0 else "count"
    return {
        "format": "mosaic",
        "model": place["model"],
        "model_type": metadata["model"]["type"].text() or "",
        "dataset": place["dataset"],
        "config": "" if config in (None, "None") else config,
        "split": place["split"],
        "layer": place["layer"],
        "width": place.get("width"),
        "source": source,
        "pooling": pooling,
        "top_n": place.get("top_n"),
        "binarize": _threshold(args) if source == "sae" else None,
        "select_k": None,
        "class_weight": None,
        "seed": training["random_state"].integer(0, 2**53),
        "cv_folds": training["cv_folds"].integer(1, _MOST),
        "test_size": training["test_size"].number(0, 1),
        "sae_location": args["sae_location"].text() if "sae_location" in args else None,
    }


def _source(dataset: Foreign, file_name: str) -> str | None:
    """SAE features or hidden states. The file's name decides: some versions noted `hidden` for both."""
    named = _SOURCES.get(file_name.removesuffix(_SUFFIX).rstrip("_"))
    hidden = dataset["hidden"].flag()
    noted = None if hidden is None else "hidden" if hidden else "sae"
    if named and noted and named != noted:
        place = dataset["hidden"].place
        dataset.problems.setdefault(place, f"says {hidden}, the file's name says {named!r}; the name was believed")
    return named or noted


def _threshold(args: Foreign) -> float | None:
    """Features above it were set to 1; None where that was not done. Early versions could not."""
    if "binarize_value" not in args:
        return None
    value = args["binarize_value"]
    if isinstance(value.value, str):
        if value.value.lower() == "none":
            return None
        try:
            return Foreign(float(value.value), value.place, value.problems, value.read).number()
        except ValueError:
            pass
    return value.number()


def _classes(document: Foreign) -> list[str]:
    """The classes' names in their order; the reports list them in the same one."""
    metadata, models = document["metadata"], document["models"]
    names = metadata["class_names"].items() if "class_names" in metadata else None
    if names and all(isinstance(one, (str, int, float)) for one in names) and len({*map(str, names)}) == len(names):
        return [str(one) for one in names]
    if names is not None:
        metadata["class_names"].complain("a list of different names")
    reports = [models[key]["class_metrics"] for key in _MODELS if key in models]
    return next((report.keys() for report in reports if report.keys()), [])


def _row(name: str, scores: dict[str, Any], settings: dict[str, Any], counts: dict[str, Any]) -> dict[str, Any]:
    """The row of summary.csv."""
    return {
        **{key: settings[key] for key in (*_LABELS, *_SETTING)},
        "classifier": name,
        "macro_f1": scores["macro_f1"],
        "macro_f1_low": None,
        "macro_f1_high": None,
        "macro_precision": None,
        "macro_recall": None,
        "accuracy": scores["accuracy"],
        "roc_auc": scores["roc_auc"],
        "cv_macro_f1": None,
        "cv_accuracy": scores["cross_validation"]["accuracy"],
        **counts,
        "n_features": scores["n_features"],
        "seconds": None,
    }
