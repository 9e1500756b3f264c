"""Check that two runs have the same feature space, and map the classes of one to those of the other."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from saefari.classify.settings import Source
from saefari.errors import DataError, StoreError, nearest, shown
from saefari.store import Manifest, complete_manifest, read_split_record

Space = dict[str, Any]
"""Properties that must be equal in both runs, by the name used in messages."""

_LISTED = 8
_BOS = {None: "as the tokenizer does", True: "added", False: "left out"}
_DIGEST = re.compile(r"[0-9a-f]{40,}")


def feature_space(source: Source, samples: Path, features: str | None) -> Space:
    """Return the properties that define a run's features; for texts and the majority class only the source.

    samples: a stored split; features: the folder of its codes or hidden states below it. Codes are defined by their
    SAE, whichever model it reads; hidden states by their model. Raises StoreError if a record lacks a property.
    """
    space: Space = {"features": source}
    if features is None:
        return space
    manifest = complete_manifest(samples / features)
    if source == "hidden":
        recorded = {
            "weights of the model": manifest.settings.get("model", {}).get("weights"),
            "hook point": manifest.facts.get("hook"),
        }
    else:
        recorded = _sae(manifest) | (_random(manifest, samples) if source == "random_sae" else {})
    unknown = [name for name, value in recorded.items() if value is None]
    if unknown:
        raise StoreError(f"{samples / features} does not record its {' and '.join(unknown)}: run the extraction again")
    recorded["BOS before every text"] = _BOS[manifest.settings.get("prepend_bos")]
    if source == "random_sae" and manifest.facts.get("architecture") != "topk":
        recorded["norm limit of their calibration"] = manifest.facts.get("norm_limit")
    return space | recorded


def check_spaces(train: Space, test: Space, train_run: str, test_run: str) -> None:
    """Raise DataError with both values of every difference unless two feature spaces are equal."""
    names = [*train, *(name for name in test if name not in train)]
    lines = [
        f"    {name}: {_shown(train.get(name))} / {_shown(test.get(name))}"
        for name in names
        if train.get(name) != test.get(name)
    ]
    if train["features"] != test["features"]:
        lines = lines[:1]  # the rest cannot be compared
    if lines:
        raise DataError(
            "the features of the two runs differ, so the classifiers of one cannot read those of the other "
            f"(--train {train_run} / --test {test_run}):\n" + "\n".join(lines) + "\n"
            "  Codes must come from the same SAE at the same hook point, hidden states from the same model."
        )


def align_classes(
    labels: Collection[str], classes: Sequence[str], dropped: Mapping[str, str], given: Mapping[str, str | None] | None
) -> dict[str, str | None]:
    """Return label of the tested run -> class of the training run, None = left out, for every label.

    classes: learned by the training run. dropped: class that it left out -> reason. given: an explicit map, in which
    a label that is not named keeps its name; without one both runs must have the same classes.
    Raises DataError naming every class without a counterpart.
    """
    problems = [] if given is None else _misnamed(given, labels, classes)
    class_of_label = {label: label if given is None else given.get(label, label) for label in sorted(labels)}
    unknown = [
        label for label, name in class_of_label.items() if name not in (None, *classes) and label not in (given or {})
    ]
    if unknown:
        why = [f"{shown(name)} was left out in training: {dropped[name]}" for name in unknown if name in dropped]
        problems.append("; ".join([f"the training run does not know {quoted_list(unknown)}", *why[:_LISTED]]))
    missing = [name for name in classes if name not in class_of_label.values()]
    if given is None and missing:
        problems.append(f"the tested run has no {quoted_list(missing)}")
    if not problems and set(class_of_label.values()) <= {None}:
        problems.append("every class is mapped to null: no row is left to test on")
    if problems:
        example = "" if given is not None else '; give a map with --map, such as \'{"theirs": "ours", "other": null}\''
        raise DataError(
            f"the classes of the two runs do not match: {'; '.join(problems)}. The training run knows "
            f"{quoted_list(classes)}, the tested run has {quoted_list(sorted(labels))}{example}"
        )
    return class_of_label


def quoted_list(names: Sequence[str]) -> str:
    """Return the first few names, quoted, for a message."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(repr(name) for name in names[:_LISTED]) + more


def _sae(manifest: Manifest) -> dict[str, Any]:
    facts = manifest.facts
    space = {
        "weights of the SAE (SHA-256)": facts.get("weights_sha256"),
        "hook point": facts.get("hook"),
        "centred input": facts.get("center"),
        "normalisation of the input": facts.get("normalize_activations"),
        "architecture": facts.get("architecture"),
        "latents": facts.get("d_sae"),
    }
    if facts.get("architecture") == "topk":  # k is not among the weights; the SAE's release or files determine it
        named = manifest.settings.get("sae", {})
        space["SAE"] = {name: value for name, value in named.items() if not name.startswith("sae-lens")} or None
    return space


def _random(manifest: Manifest, samples: Path) -> dict[str, Any]:
    """Properties that determine random weights, which are not stored: seed and, except for TopK, calibration data."""
    seed = {"seed of the random weights": manifest.settings.get("random_seed")}
    if manifest.facts.get("architecture") == "topk":
        return seed
    split = read_split_record(samples) or {}
    model = manifest.settings.get("model", {})
    return seed | {
        "model they were calibrated on": model.get("weights"),
        "its dtype": model.get("dtype"),
        "split they were calibrated on": manifest.settings.get("calibrated_on"),
        "rows they were calibrated on": split.get("settings", {}).get("samples"),
    }


def _misnamed(given: Mapping[str, str | None], labels: Collection[str], classes: Sequence[str]) -> list[str]:
    """Problems for labels and classes in the map that do not exist."""
    problems = [
        f"--map names {shown(label)}, which the tested run does not have{nearest(label, sorted(labels))}"
        for label in given
        if label not in labels
    ]
    return problems + [
        f"--map maps {shown(label)} to {shown(name)}, which the training run does not know{nearest(name, classes)}"
        for label, name in given.items()
        if name is not None and name not in classes
    ]


def _shown(value: object) -> str:
    if isinstance(value, str) and _DIGEST.fullmatch(value):
        return f"{value[:12]}…"
    return "none" if value is None else str(value)
