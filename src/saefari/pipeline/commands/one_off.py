"""Build the configuration of a one-off run (`saefari extract`, `saefari classify`) from its flags."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from saefari.config import Config, ModelSpec, parse_config
from saefari.data.slug import dataset_slug
from saefari.errors import ConfigError, SaeError
from saefari.names import HIDDEN, RANDOM
from saefari.pipeline.commands.flags import flag_error
from saefari.pipeline.commands.mosaic_flags import check_mosaic_flags, revision_in
from saefari.pipeline.plan.vision_model import folder_of
from saefari.saes.catalogue import widths_at
from saefari.store import Manifest, codes_folder, hidden_folder, read_samples_record, read_split_record
from saefari.store.layout import MANIFEST, SAMPLES, split_folder

SplitKey = tuple[str, str, str]
"""Dataset folder, config ("" = none) and split of a stored split."""

_ANY = "any"  # placeholder width, never looked up


def extract_config(flags: argparse.Namespace) -> Config:
    """Return the configuration of `saefari extract`. Raises ConfigError."""
    settings = {
        "base_save_dir": flags.save_dir,
        "batch_size": flags.batch_size,
        "act_only": flags.act_only,
        "max_batches": flags.max_batches,
        "seed": flags.seed or 0,
    }
    dataset = {
        "name": flags.dataset_name,
        "config_name": flags.dataset_config_name,
        "split": flags.dataset_split,
        "text_field": flags.text_field or ("text" if flags.model_type == "llm" else None),
        "image_field": flags.image_field,
        "label_field": flags.label_field,
    }
    return _config(flags, settings, dataset, flags.width or _only_width(flags))


def classify_config(flags: argparse.Namespace) -> Config:
    """Return the configuration of `saefari classify`: that of the stored split, overridden by flags.

    Raises ConfigError if no stored split, or more than one, matches the flags.
    """
    settings: dict[str, Any] = {
        "base_save_dir": flags.input_dir,
        "base_classify_dir": flags.output_dir,
        "tree_depth": flags.tree_depth,
        "save_plots": flags.save_plots,
        "cv_folds": flags.cv_folds,
        "bow_baseline": flags.bow_baseline,
    }
    check_mosaic_flags(flags)
    params = {"top_n_values": [flags.top_n], "binarize_values": [flags.binarize_value]}
    params |= {"pooling": ["last" if flags.last_token else "sum"]}
    folder, (name, config_name, split) = _stored_split(flags)
    record = _stored_settings(folder)
    overrides = {"text_field": flags.text_field, "label_field": flags.label_field}
    dataset = {
        **record["fields"],
        **{key: value for key, value in overrides.items() if value is not None},
        "name": flags.dataset_name or name,
        "config_name": config_name,
        "split": split,
    }
    split_record = read_split_record(folder) or {"settings": {"seed": 0}}
    settings |= {
        "max_samples": (record["sampled"] or {"rows": None})["rows"],
        "seed": split_record["settings"]["seed"] if flags.seed is None else flags.seed,
        "positions": record.get("positions"),
    }
    settings |= {key: record[key] for key in ("max_length", "include_special_tokens") if key in record}
    widths = flags.width or _stored_widths(folder, flags.layer) or _only_width(flags)
    settings["act_only"] = _is_act_only(folder, flags.layer, widths) if flags.act_only is None else flags.act_only
    return _config(flags, settings, dataset, widths, params)


def _config(
    flags: argparse.Namespace,
    settings: dict[str, Any],
    dataset: dict[str, Any],
    widths: list[str],
    params: dict[str, Any] | None = None,
) -> Config:
    dataset = dataset | {"text_is_label": flags.text_is_label}
    model = {
        "name": flags.model_name,
        "layers": flags.layer,
        "widths": widths,
        "revision": revision_in(flags),
        "sae_release": flags.sae_release,
        "sae_path": flags.sae_path,
    }
    common: dict[str, Any] = {
        "model_type": flags.model_type,
        "sae_location": flags.sae_location,
        "test_size": flags.test_size,
    }
    if flags.positions is not None:
        common["positions"] = flags.positions
    return parse_config(
        {
            "settings": {**settings, **common},
            "models": [model],
            "datasets": [dataset],
            "classification_params": params or {},
        },
        source="flags",
    )


def _only_width(flags: argparse.Namespace) -> list[str]:
    """Return the only width of the SAEs at the layers. Raises ConfigError if there is more than one."""
    if flags.sae_path is not None:
        raise flag_error("--width", "is required with --sae-path: it names the folder of the codes")
    widths: set[str] = set()
    for layer in flags.layer:
        try:
            widths |= set(widths_at(flags.model_name, layer, flags.sae_location, flags.sae_release))
        except SaeError as error:
            raise flag_error("--sae-release", str(error)) from None
    if len(widths) != 1:
        raise flag_error("--width", f"is required: there are SAEs of the widths {', '.join(sorted(widths))}")
    return list(widths)


def _stored_split(flags: argparse.Namespace) -> tuple[Path, SplitKey]:
    """Return the one stored dataset split that matches the flags, and its key."""
    model = ModelSpec(name=flags.model_name, layers=flags.layer, widths=[_ANY], revision=revision_in(flags))
    root = Path(flags.input_dir, folder_of(model))
    folders = [path.parent for path in sorted(root.rglob(SAMPLES))]
    stored = {_split_key(folder.relative_to(root)): folder for folder in folders if not _has_own_text_field(folder)}
    if folders and not stored:
        message = f"{root} has only splits of a YAML configuration with several text columns"
        raise flag_error("--input-dir", f"{message}: use `run_experiments.py --classify-only` with that configuration")
    if not stored:
        raise flag_error("--input-dir", f"{root} has no dataset: run `saefari extract` with this model first")
    slug = None if flags.dataset_name is None else dataset_slug(flags.dataset_name)
    wanted = (slug, flags.dataset_config_name, flags.dataset_split)
    matching = [key for key in stored if all(w in (None, part) for w, part in zip(wanted, key, strict=True))]
    if len(matching) != 1:
        raise _ambiguous_split(wanted, matching, list(stored))
    (key,) = matching
    if flags.dataset_name is None and dataset_slug(key[0]) != key[0]:
        raise flag_error("--dataset-name", f"is required: it cannot be derived from the folder {key[0]!r}")
    return stored[key], key


def _ambiguous_split(wanted: tuple[str | None, ...], matching: list[SplitKey], stored: list[SplitKey]) -> ConfigError:
    """Return an error at the flag that is ambiguous or matches nothing, with a list of the stored splits."""
    flags = ("--dataset-name", "--dataset-config-name", "--dataset-split")
    values = [{key[i] for key in matching or stored} for i in range(len(flags))]
    unclear = [
        flag
        for flag, want, found in zip(flags, wanted, values, strict=True)
        if (len(found) > 1 if matching else want not in (None, *found))
    ]
    splits = "; ".join(
        " ".join(f"{flag} {part!r}" for flag, part in zip(flags, key, strict=True)) for key in matching or stored
    )
    state = "several stored splits match" if matching else "no stored split matches"
    return flag_error((unclear or flags)[0], f"{state}; stored: {splits}")


def _split_key(relative: Path) -> SplitKey:
    dataset, *config, split = relative.parts
    return dataset, "/".join(config), split


def _has_own_text_field(folder: Path) -> bool:
    """Return whether the folder is named after its text column, as one of several that read the same split."""
    text_field = _stored_settings(folder)["fields"].get("text_field")
    return bool(text_field) and folder.name.endswith(split_folder("", text_field))


def _stored_settings(folder: Path) -> dict[str, Any]:
    """Return the settings of a stored split."""
    record = read_samples_record(folder)
    if record is None:
        raise flag_error("--input-dir", f"{folder}: the samples are damaged; run `saefari extract` again")
    settings: dict[str, Any] = record["settings"]
    return settings


def _stored_widths(folder: Path, layers: list[int]) -> list[str]:
    """Return the widths of the codes stored at any of the layers, without random controls."""
    found = {path.parent.name for layer in layers for path in codes_folder(folder, layer, "").glob(f"*/{MANIFEST}")}
    return sorted(name for name in found if name != HIDDEN and not name.endswith(RANDOM))


def _is_act_only(folder: Path, layers: list[int], widths: list[str]) -> bool:
    """Return whether codes are missing and can be encoded from stored positions."""
    if all(Manifest.load(codes_folder(folder, layer, width)) for layer in layers for width in widths):
        return False
    hidden = [Manifest.load(hidden_folder(folder, layer)) for layer in layers]
    return all(manifest is not None and manifest.settings["positions"] for manifest in hidden)
