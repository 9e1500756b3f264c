"""Where a MOSAIC file's result belongs: model, dataset, layer, SAE width and the settings of the run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from saefari.names import folder_name
from saefari.store.external_json import JsonNode

SUFFIX = "classifier_results.json"
_SOURCES = {"sae": "sae", "hidden": "hidden"}
_REPEATED = ("model_name", "model_type", "dataset_name", "layer", "test_size", "random_state", "cv_folds")
_MOST = 10**9
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
"""MOSAIC's defaults of what shapes a result and has no column of its own in the summary."""
_TEXTS = ("text_field", "label_field", "sae_location")
_OWN_COLUMN = ("text_field",)

Settings = dict[str, Any]


def read_settings(document: JsonNode, file: PurePath, datasets: Mapping[str, str]) -> Settings | None:
    """Read the settings of a file; None when a part of its place is missing, which is noted as a problem.

    file: its path; early versions kept dataset, split and width only there. datasets: folder name -> dataset name, of
    the datasets that other files name.
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
        "cv_folds": training["cv_folds"].integer(1, _MOST),
        "test_size": training["test_size"].number(0, 1),
    }
    needed = ["model", "dataset", "split", "layer", "source"]
    needed += [] if known["source"] == "hidden" else ["width"] if early else ["width", "top_n"]
    if any(known[key] is None for key in needed):
        return None
    known |= {"format": "mosaic", "select_k": None, "class_weight": None}
    if known["source"] == "hidden":
        known["width"] = None  # every width's run fits the same hidden states
    return known | {"variant": "settings not recorded" if early else _variant(known)}


def setting_folder(settings: Settings) -> str:
    """Name of the result's folder below those of its features; different settings never share one.

    It is the name of our own setting, followed by every setting that is not MOSAIC's default.
    """
    if settings["source"] == "tfidf":
        name = "tfidf"
    elif settings["top_n"] is None:
        name = settings["pooling"] or _UNRECORDED
    else:
        threshold = "none" if settings["binarize"] is None else str(float(settings["binarize"]))
        name = f"{settings['pooling']}_top{settings['top_n']}_bin-{threshold}"
    unusual = [f"_{key}-{folder_name([str(value)], key)}" for key, value in _non_default(settings).items()]
    return "".join([name, *unusual])


def tfidf_settings(settings: Settings) -> Settings:
    """The settings of the bag-of-words baseline that stands in the file of an SAE result or of hidden states."""
    of_features = ("model", "model_type", "layer", "width", "top_n", "binarize", "sae_location", "all_tokens")
    known = settings | dict.fromkeys(of_features) | {"model": "", "model_type": "", "pooling": ""}
    known |= {"source": "tfidf", "last_token": None, "tree_depth": None}
    return known | {"variant": _variant(known)}


def _read_args(metadata: JsonNode, file: PurePath) -> Settings:
    args = metadata["args"]
    for key in _REPEATED:
        args[key]  # the same values stand outside args
    source = _source(metadata["dataset"], file.name)
    reads_last = "last_token" in args and args["last_token"].flag()
    top_n = args["top_n"].integer(-1, _MOST) if source == "sae" or "top_n" in args else None
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
        "tree_depth": args["tree_depth"].integer(1, _MOST) if "tree_depth" in args else None,
    }
    if source == "hidden" and top_n in (0, None) and threshold is None:
        known["top_n"] = None  # nothing was done to the hidden states
    return known | {key: args[key].text() if key in args and args[key].value != "" else None for key in _TEXTS}


def _read_path(metadata: JsonNode, file: PurePath, datasets: Mapping[str, str]) -> Settings | None:
    """What the folders of an early file say: <model>/<dataset>[/<config>]/<split>/layer_<L>/<width>/.

    None where they are not laid out so.
    """
    model, layer = metadata["model"]["name"].value, metadata["model"]["layer"].value
    folders = list(file.parts[:-1])
    root, at = str(model).replace("/", "_"), f"layer_{layer}"
    if root not in folders or at not in folders[folders.index(root) :]:
        return None
    start = len(folders) - 1 - folders[::-1].index(root)
    between, after = _around(folders[start + 1 :], at)
    if len(between) not in (2, 3) or not after:
        return None
    return {
        "dataset": datasets.get(between[0], between[0]),
        "config": between[1] if len(between) == 3 else "",
        "split": between[-1],
        "width": after[0],
        "source": _SOURCES.get(file.name.removesuffix(SUFFIX).rstrip("_"), "sae"),
        "pooling": "",
        **dict.fromkeys(("top_n", "binarize", "last_token", "all_tokens", "tree_depth", *_TEXTS)),
    }


def _around(folders: list[str], middle: str) -> tuple[list[str], list[str]]:
    place = folders.index(middle) if middle in folders else len(folders)
    return folders[:place], folders[place + 1 :]


def _source(dataset: JsonNode, file_name: str) -> str | None:
    """SAE features or hidden states. The file's name decides: some versions noted `hidden` for both."""
    named = _SOURCES.get(file_name.removesuffix(SUFFIX).rstrip("_"))
    hidden = dataset["hidden"].flag()
    noted = None if hidden is None else "hidden" if hidden else "sae"
    if named and noted and named != noted:
        place = dataset["hidden"].place
        dataset.problems.setdefault(place, f"says {hidden}, the file's name says {named!r}; the name was believed")
    return named or noted


def _config(args: JsonNode) -> str:
    """The dataset's configuration; "" where it has none, which is spelt in several ways."""
    if "dataset_config_name" not in args or args["dataset_config_name"].value in ("", "None"):
        return ""
    return args["dataset_config_name"].text() or ""


def _threshold(args: JsonNode) -> float | None:
    """Features above it were set to 1; None where that was not done. Early versions could not."""
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
    """Settings that are recorded and not MOSAIC's default."""
    return {key: settings[key] for key, default in _DEFAULTS.items() if settings[key] not in (None, default)}


def _variant(settings: Settings) -> str:
    """What tells a result from others whose columns of the summary are the same, as text."""
    shown = {key: value for key, value in _non_default(settings).items() if key not in _OWN_COLUMN}
    return ", ".join(key if value is True else f"{key} {value}" for key, value in shown.items())
