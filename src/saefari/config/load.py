"""Read conf.yaml and say everything that is wrong with it at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from saefari.config.convolution import Convolution
from saefari.config.dataset import DatasetSpec
from saefari.config.schema import ClassificationParams, Config, ModelSpec, Settings
from saefari.config.training import Corpus, Resampling, SaeSweep, SaeTraining
from saefari.config.vision import VisionTraining
from saefari.errors import ConfigError, Problem, nearest

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
}
_MERGE = "tag:yaml.org,2002:merge"


class UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a key that a mapping holds twice, of which YAML would silently keep the last."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """The mapping as YAML reads it. Raises MarkedYAMLError at a key that comes again; `<<` may."""
        node = super().compose_mapping_node(anchor)
        seen: set[tuple[str, Any]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                if (key.tag, key.value) in seen:
                    raise yaml.MarkedYAMLError(
                        problem=f"the key {key.value!r} is given twice", problem_mark=key.start_mark
                    )
                seen.add((key.tag, key.value))
        return node


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a YAML file, apply `section.key=value` overrides and validate.

    Raises ConfigError naming the YAML path of every mistake.
    """
    path = Path(path)
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), UniqueKeyLoader)
    except FileNotFoundError:
        raise ConfigError([Problem("--config", f"there is no file {str(path)!r}")], str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem("--config", f"{str(path)!r} cannot be read: {error}")], str(path)) from None
    except yaml.YAMLError as error:
        raise ConfigError([Problem("file", f"not valid YAML: {' '.join(str(error).split())}")], str(path)) from None
    if not isinstance(raw, dict):
        found = type(raw).__name__
        raise ConfigError(
            [Problem("file", f"must hold the sections {list(Config.model_fields)}, not a {found}")], str(path)
        )
    for override in overrides:
        _apply_override(raw, override)
    return parse_config(raw, source=str(path))


def parse_config(raw: Mapping[str, Any], source: str = "configuration") -> Config:
    """Validate a mapping shaped like conf.yaml. Raises ConfigError with every mistake."""
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        raise ConfigError([_problem(item) for item in error.errors()], source) from None


def _apply_override(raw: dict[str, Any], override: str) -> None:
    """Set `settings.max_samples=200` or `models[0].widths=[16k]`; the value is read as YAML."""
    path, equals, value = override.partition("=")
    keys = path.replace("[", ".").replace("]", "").split(".")
    if not equals or not all(keys):
        raise ConfigError([Problem("--set", f"{override!r} is not of the form section.key=value")], "--set")
    target: Any = raw
    try:
        for key in keys[:-1]:
            target = target[int(key)] if isinstance(target, list) else target.setdefault(key, {})
        parsed = yaml.load(value, UniqueKeyLoader)
        if isinstance(target, list):
            target[int(keys[-1])] = parsed
        else:
            target[keys[-1]] = parsed
    except (ValueError, IndexError, TypeError, AttributeError):
        raise ConfigError([Problem("--set", f"{path!r} leads nowhere in this file")], "--set") from None
    except yaml.YAMLError:
        raise ConfigError([Problem("--set", f"{value!r} is not valid YAML")], "--set") from None


def _problem(error: Any) -> Problem:
    """One pydantic error in our words: YAML path, value, what is allowed, nearest name."""
    *parents, last = error["loc"] or [""]
    location = [part for part in parents if not _is_internal(part)]
    if error["type"] == "extra_forbidden" or not _is_internal(last):
        location.append(last)
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".") or "file"
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "extra_forbidden":
        allowed = _keys_at(location[:-1])
        hint = _elsewhere(str(location[-1])) or nearest(str(location[-1]), allowed)
        return Problem(path, f"unknown key; allowed here: {', '.join(allowed)}{hint}")
    if kind == "model_type" and value is None:
        what = "empty entry: remove its dash" if isinstance(last, int) else "empty section: remove the key"
        return Problem(path, f"{what}, or fill it in")
    if kind == "missing":
        return Problem(path, "is missing and has no default")
    if kind == "literal_error":
        allowed = [part.strip(" '") for part in str(context["expected"]).replace(" or ", ", ").split(",")]
        return Problem(
            path, f"{value!r} is not allowed; use one of: {', '.join(allowed)}{nearest(str(value), allowed)}"
        )
    message = str(error["msg"]).removeprefix("Value error, ")
    if isinstance(value, (str, int, float, bool, list, type(None))):
        return Problem(path, f"{value!r}: {message[0].lower()}{message[1:]}")
    return Problem(path, f"{message[0].lower()}{message[1:]}")


def _elsewhere(key: str) -> str:
    """' (it is settings.batch_size)' for a key of another section that stands once in the file, or an empty string."""
    sections = ("settings", "classification_params")
    return next((f" (it is {name}.{key})" for name in sections if key in _SECTIONS[name].model_fields), "")


def _is_internal(part: object) -> bool:
    """Names that pydantic puts in a location for its own wrappers, not keys of the file."""
    return isinstance(part, str) and ("[" in part or part in {"int", "float", "str", "none"})


def _keys_at(location: Sequence[object]) -> list[str]:
    """The keys allowed at a place in the file."""
    names = [part for part in location if isinstance(part, str)]
    section = _SECTIONS[names[-1]] if names else Config
    return list(section.model_fields)
