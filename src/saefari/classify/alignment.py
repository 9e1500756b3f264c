"""Whether a classifier of one run can read the features and name the classes of another."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from saefari.classify.settings import Source
from saefari.errors import DataError, StoreError, nearest, shown
from saefari.store import Manifest, complete_manifest, read_split_record

Space = dict[str, Any]
"""What two feature spaces must agree in, each under the name that a message gives it."""

_LISTED = 8
_BOS = {None: "as the tokenizer does it", True: "put there", False: "left out"}
_DIGEST = re.compile(r"[0-9a-f]{40,}")


def feature_space(source: Source, samples: Path, features: str | None) -> Space:
    """What makes the features of a run what they are; texts and the majority class need no more than their kind.

    samples: a stored split; features: the folder of its codes or hidden states below it. Codes are those of one SAE,
    whichever model's hidden states it reads; hidden states are those of one model.
    Raises StoreError where the records do not say.
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
        recorded["largest norm they were calibrated on"] = manifest.facts.get("norm_limit")
    return space | recorded


def check_spaces(train: Space, test: Space, train_run: str, test_run: str) -> None:
    """Raise DataError, with what differs on both sides, unless the features of two runs mean the same."""
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
            "the features of the two runs do not line up, so the classifiers of one cannot read the other's "
            f"(--train {train_run} / --test {test_run}):\n" + "\n".join(lines) + "\n"
            "  Codes line up where one SAE made them at the same hook point, hidden states where one model did."
        )


def align_classes(
    labels: Collection[str], classes: Sequence[str], dropped: Mapping[str, str], given: Mapping[str, str | None] | None
) -> dict[str, str | None]:
    """Label of the tested run -> class of the training run, None = left out; every label has an entry.

    classes, dropped: those that the training run learned and left out, with why. given: an explicit map, in which
    a label that is not named keeps its name; without one both sides must have the same classes.
    Raises DataError naming what has no counterpart.
    """
    problems = [] if given is None else _misnamed(given, labels, classes)
    meant = {label: label if given is None else given.get(label, label) for label in sorted(labels)}
    unknown = [label for label, name in meant.items() if name not in (None, *classes) and label not in (given or {})]
    if unknown:
        why = [f"{shown(name)} was left out there: {dropped[name]}" for name in unknown if name in dropped]
        problems.append("; ".join([f"the training run does not know {listed(unknown)}", *why[:_LISTED]]))
    missing = [name for name in classes if name not in meant.values()]
    if given is None and missing:
        problems.append(f"the tested run has no {listed(missing)}")
    if not problems and set(meant.values()) <= {None}:
        problems.append("every class is mapped to null: nothing is left to test")
    if problems:
        example = (
            "" if given is not None else '; say which is which with --map, as in \'{"theirs": "ours", "other": null}\''
        )
        raise DataError(
            f"the classes of the two runs do not line up: {'; '.join(problems)}. The training run knows "
            f"{listed(classes)}, the tested run has {listed(sorted(labels))}{example}"
        )
    return meant


def listed(names: Sequence[str]) -> str:
    """Names in a message, the first few of them."""
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
    if facts.get("architecture") == "topk":  # k is no weight: only its place in the catalogue or its files tell it
        named = manifest.settings.get("sae", {})
        space["SAE"] = {name: value for name, value in named.items() if not name.startswith("sae-lens")} or None
    return space


def _random(manifest: Manifest, samples: Path) -> dict[str, Any]:
    """Random weights are not stored; this decides them: the seed, and, but for TopK, what they were calibrated on."""
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
    """Names in the map that one of the sides does not have."""
    problems = [
        f"--map names {shown(label)}, which the tested run does not have{nearest(label, sorted(labels))}"
        for label in given
        if label not in labels
    ]
    return problems + [
        f"--map sends {shown(label)} to {shown(name)}, which the training run does not know{nearest(name, classes)}"
        for label, name in given.items()
        if name is not None and name not in classes
    ]


def _shown(value: object) -> str:
    if isinstance(value, str) and _DIGEST.fullmatch(value):
        return f"{value[:12]}…"
    return "not there" if value is None else str(value)
