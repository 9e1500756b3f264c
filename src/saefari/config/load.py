"""Read and validate conf.yaml; all errors are reported at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from saefari.config.classification import ClassificationParams
from saefari.config.convolution import Convolution
from saefari.config.dataset import DatasetSpec
from saefari.config.explanation import Client, Explain, Prompting, Sampling
from saefari.config.model import ModelSpec
from saefari.config.schema import Config
from saefari.config.settings import Settings
from saefari.config.training import Corpus, Resampling, SaeSweep, SaeTraining
from saefari.config.vision import VisionTraining
from saefari.config.yaml_text import YAML_ERRORS, UniqueKeyLoader
from saefari.errors import PATH_LENGTH, ConfigError, Problem, nearest, readable, shortened, shown

_SECTIONS: dict[str, type[BaseModel]] = {
    "settings": Settings,
    "models": ModelSpec,
    "datasets": DatasetSpec,
    "classification_params": ClassificationParams,
    "sae_train": SaeTraining,
    "sae_training": SaeSweep,
    "corpus": Corpus,
    "resample": Resampling,
    "vision_training": VisionTraining,
    "conv": Convolution,
    "explain": Explain,
    "sampling": Sampling,
    "client": Client,
    "prompting": Prompting,
}


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a YAML file, apply `section.key=value` overrides and validate.

    Raises ConfigError with the YAML path of every error.
    """
    path = Path(path)
    source = readable(str(path), PATH_LENGTH)
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), UniqueKeyLoader)
    except FileNotFoundError:
        raise ConfigError(
            [Problem("--config", f"file {shown(str(path), PATH_LENGTH)} does not exist")], source
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        message = f"{shown(str(path), PATH_LENGTH)} cannot be read: {shortened(error)}"
        raise ConfigError([Problem("--config", message)], source) from None
    except YAML_ERRORS as error:
        raise ConfigError([Problem("file", f"not valid YAML: {shortened(error)}")], source) from None
    if not isinstance(raw, dict):
        found = type(raw).__name__
        raise ConfigError(
            [Problem("file", f"must be a mapping with the sections {list(Config.model_fields)}, not a {found}")], source
        )
    for override in overrides:
        _apply_override(raw, override)
    return parse_config(raw, source=source)


def parse_config(raw: Mapping[str, Any], source: str = "configuration") -> Config:
    """Validate a mapping shaped like conf.yaml. Raises ConfigError with all errors."""
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        raise ConfigError([_problem(item) for item in error.errors()], source) from None


def _apply_override(raw: dict[str, Any], override: str) -> None:
    """Apply one override, such as `settings.max_samples=200` or `models[0].widths=[16k]`; the value is read as YAML."""
    path, equals, value = override.partition("=")
    keys = path.replace("[", ".").replace("]", "").split(".")
    if not equals or not all(keys):
        raise ConfigError([Problem("--set", f"{shown(override)}: expected section.key=value")], "--set")
    try:
        parsed = yaml.load(value, UniqueKeyLoader)
    except YAML_ERRORS:
        raise ConfigError([Problem("--set", f"{shown(value)} is not valid YAML")], "--set") from None
    target: Any = raw
    try:
        for key in keys[:-1]:
            target = target[int(key)] if isinstance(target, list) else target.setdefault(key, {})
        if isinstance(target, list):
            target[int(keys[-1])] = parsed
        else:
            target[keys[-1]] = parsed
    except (ValueError, IndexError, TypeError, AttributeError):
        raise ConfigError([Problem("--set", f"{shown(path)} does not exist in this file")], "--set") from None


def _problem(error: Any) -> Problem:
    """Convert a pydantic error to YAML path, value, allowed values and nearest name."""
    *parents, last = error["loc"] or [""]
    location = [part for part in parents if not _is_internal(part)]
    if error["type"] == "extra_forbidden" or not _is_internal(last):
        location.append(last)
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{readable(part)}" for part in location).lstrip(".")
    path = path or "file"
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "extra_forbidden":
        allowed = _keys_at(location[:-1])
        hint = _other_section(str(location[-1])) or nearest(str(location[-1]), allowed)
        return Problem(path, f"unknown key; allowed here: {', '.join(allowed)}{hint}")
    if kind == "model_type" and value is None:
        message = "empty entry: remove its dash" if isinstance(last, int) else "empty section: remove the key"
        return Problem(path, f"{message}, or fill it in")
    if kind == "missing":
        return Problem(path, "is missing and has no default")
    if kind == "literal_error":
        allowed = [part.strip(" '") for part in str(context["expected"]).replace(" or ", ", ").split(",")]
        hint = nearest(value, allowed) if isinstance(value, str) else ""
        return Problem(path, f"{shown(value)} is not allowed; use one of: {', '.join(allowed)}{hint}")
    message = str(error["msg"]).removeprefix("Value error, ")
    if isinstance(value, (str, int, float, bool, list, type(None))):
        return Problem(path, f"{shown(value)}: {message[0].lower()}{message[1:]}")
    return Problem(path, f"{message[0].lower()}{message[1:]}")


def _other_section(key: str) -> str:
    """Return a hint such as " (it is settings.batch_size)" for a key of another section, or an empty string."""
    sections = ("settings", "classification_params")
    return next((f" (it is {name}.{key})" for name in sections if key in _SECTIONS[name].model_fields), "")


def _is_internal(part: object) -> bool:
    """Return whether a part of a location is pydantic's own and not a key of the file."""
    return isinstance(part, str) and ("[" in part or part in {"int", "float", "str", "none"})


def _keys_at(location: Sequence[object]) -> list[str]:
    """Return the keys that are allowed at a location."""
    names = [part for part in location if isinstance(part, str)]
    section = _SECTIONS[names[-1]] if names else Config
    return list(section.model_fields)
