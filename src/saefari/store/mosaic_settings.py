"""Settings of a MOSAIC file: model, dataset, layer, SAE width and the options of the run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from saefari.names import folder_name
from saefari.store.external_json import JsonNode

SUFFIX = "classifier_results.json"
_SOURCES = {"sae": "sae", "hidden": "hidden"}
_REPEATED = ("model_name", "model_type", "dataset_name", "layer", "test_size", "random_state", "cv_folds")
_MAX_INTEGER = 10**9
_UNRECORDED = "unrecorded"
_DEFAULTS: dict[str, Any] = {
    "text_field": "text",
    "label_field": "label",
    "test_size": 0.2,
    "seed": 42,
    "cv_folds": 5,
    "tree_depth": 5,
    "sae_location": "res",
    "all_tokens": False,
    "last_token": False,
}
"""MOSAIC's defaults of the settings that affect a result and have no column in the summary."""
_TEXTS = ("text_field", "label_field", "sae_location")
_OWN_COLUMN = ("text_field",)

Settings = dict[str, Any]


def read_settings(document: JsonNode, file: PurePath, datasets: Mapping[str, str]) -> Settings | None:
    """Read the settings of a file; None, with a recorded problem, if a required one is missing.

    file: its path; in early versions the only record of dataset, split and width. datasets: folder name -> dataset
    name, taken from other files.
    """
    metadata = document["metadata"]
    early = _read_path(metadata, file, datasets) if "args" not in metadata and "dataset" not in metadata else None
    known = early or _read_args(metadata, file)
    training = metadata["training"]
    known |= {
        "model": metadata["model"]["name"].text(),
        "model_type": metadata["model"]["type"].text() or "",
        "layer": metadata["model"]["layer"].integer(0, 10_000),
        "seed": training["random_state"].integer(0, 2**53),
        "cv_folds": training["cv_folds"].integer(1, _MAX_INTEGER),
        "test_size": training["test_size"].number(0, 1),
    }
    needed = ["model", "dataset", "split", "layer", "source"]
    needed += [] if known["source"] == "hidden" else ["width"] if early else ["width", "top_n"]
    if any(known[key] is None for key in needed):
        return None
    known |= {"format": "mosaic", "select_k": None, "class_weight": None}
    if known["source"] == "hidden":
        known["width"] = None  # the hidden states are the same for every SAE width
    return known | {"variant": "settings not recorded" if early else _variant(known)}


def setting_folder(settings: Settings) -> str:
    """Return the folder name of a result, unique for its settings.

    It is SAEfari's name of the setting, followed by every setting that differs from MOSAIC's default.
    """
    if settings["source"] == "tfidf":
        name = "tfidf"
    elif settings["top_n"] is None:
        name = settings["pooling"] or _UNRECORDED
    else:
        threshold = "none" if settings["binarize"] is None else str(float(settings["binarize"]))
        name = f"{settings['pooling']}_top{settings['top_n']}_bin-{threshold}"
    suffixes = [f"_{key}-{folder_name([str(value)], key)}" for key, value in _non_default(settings).items()]
    return "".join([name, *suffixes])


def tfidf_settings(settings: Settings) -> Settings:
    """Return the settings of the bag-of-words baseline in a file with the given settings."""
    of_features = ("model", "model_type", "layer", "width", "top_n", "binarize", "sae_location", "all_tokens")
    known = settings | dict.fromkeys(of_features) | {"model": "", "model_type": "", "pooling": ""}
    known |= {"source": "tfidf", "last_token": None, "tree_depth": None}
    return known | {"variant": _variant(known)}


def _read_args(metadata: JsonNode, file: PurePath) -> Settings:
    args = metadata["args"]
    for key in _REPEATED:
        args[key]  # mark as read: repeated outside args
    source = _source(metadata["dataset"], file.name)
    reads_last = "last_token" in args and args["last_token"].flag()
    top_n = args["top_n"].integer(-1, _MAX_INTEGER) if source == "sae" or "top_n" in args else None
    threshold = _threshold(args)
    known = {
        "dataset": metadata["dataset"]["name"].text(),
        "config": _config(args),
        "split": args["dataset_split"].text(),
        "width": args["width"].text() if source == "sae" or "width" in args else None,
        "source": source,
        "pooling": "last" if source == "hidden" or reads_last else "sum" if top_n == 0 else "count",
        "top_n": top_n,
        "binarize": threshold,
        "last_token": bool(reads_last) and source == "hidden",
        "all_tokens": args["all_tokens"].flag() if "all_tokens" in args else None,
        "tree_depth": args["tree_depth"].integer(1, _MAX_INTEGER) if "tree_depth" in args else None,
    }
    if source == "hidden" and top_n in (0, None) and threshold is None:
        known["top_n"] = None  # the hidden states were used unchanged
    return known | {key: args[key].text() if key in args and args[key].value != "" else None for key in _TEXTS}


def _read_path(metadata: JsonNode, file: PurePath, datasets: Mapping[str, str]) -> Settings | None:
    """Read settings from an early file's path: <model>/<dataset>[/<config>]/<split>/layer_<L>/<width>/.

    Returns None for any other path.
    """
    model, layer = metadata["model"]["name"].value, metadata["model"]["layer"].value
    folders = list(file.parts[:-1])
    root, layer_folder = str(model).replace("/", "_"), f"layer_{layer}"
    if root not in folders or layer_folder not in folders[folders.index(root) :]:
        return None
    start = len(folders) - 1 - folders[::-1].index(root)
    dataset_folders, sae_folders = _split_at(folders[start + 1 :], layer_folder)
    if len(dataset_folders) not in (2, 3) or not sae_folders:
        return None
    return {
        "dataset": datasets.get(dataset_folders[0], dataset_folders[0]),
        "config": dataset_folders[1] if len(dataset_folders) == 3 else "",
        "split": dataset_folders[-1],
        "width": sae_folders[0],
        "source": _SOURCES.get(file.name.removesuffix(SUFFIX).rstrip("_"), "sae"),
        "pooling": "",
        **dict.fromkeys(("top_n", "binarize", "last_token", "all_tokens", "tree_depth", *_TEXTS)),
    }


def _split_at(folders: list[str], separator: str) -> tuple[list[str], list[str]]:
    place = folders.index(separator) if separator in folders else len(folders)
    return folders[:place], folders[place + 1 :]


def _source(dataset: JsonNode, file_name: str) -> str | None:
    """Return "sae" or "hidden". The file name takes precedence: some versions set `hidden` for both."""
    by_name = _SOURCES.get(file_name.removesuffix(SUFFIX).rstrip("_"))
    hidden = dataset["hidden"].flag()
    by_flag = None if hidden is None else "hidden" if hidden else "sae"
    if by_name and by_flag and by_name != by_flag:
        place = dataset["hidden"].place
        dataset.problems.setdefault(place, f"{hidden} contradicts the file name ({by_name}); the file name is used")
    return by_name or by_flag


def _config(args: JsonNode) -> str:
    """Return the dataset's configuration; "" for the several spellings of none."""
    if "dataset_config_name" not in args or args["dataset_config_name"].value in ("", "None"):
        return ""
    return args["dataset_config_name"].text() or ""


def _threshold(args: JsonNode) -> float | None:
    """Return the threshold above which features were set to 1; None if they were not binarised."""
    if "binarize_value" not in args:
        return None
    value = args["binarize_value"]
    if isinstance(value.value, str):
        if value.value.lower() == "none":
            return None
        try:
            return JsonNode(float(value.value), value.place, value.problems, value.read).number()
        except ValueError:
            pass
    return value.number()


def _non_default(settings: Settings) -> Settings:
    """Return the recorded settings that differ from MOSAIC's defaults."""
    return {key: settings[key] for key, default in _DEFAULTS.items() if settings[key] not in (None, default)}


def _variant(settings: Settings) -> str:
    """Return, as text, the settings that distinguish results with equal summary columns."""
    changed = {key: value for key, value in _non_default(settings).items() if key not in _OWN_COLUMN}
    return ", ".join(key if value is True else f"{key} {value}" for key, value in changed.items())
