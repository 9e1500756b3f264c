"""Mapping between the classes of two runs, read from a file or from the command line."""

from __future__ import annotations

from pathlib import Path

import yaml

from saefari.config.yaml_text import YAML_ERRORS, UniqueKeyLoader
from saefari.errors import PATH_LENGTH, ConfigError, Problem, shortened, shown

ClassMap = dict[str, str | None]
"""Class of the tested run -> class of the training run; None = rows of that class are left out."""

_NULL = "tag:yaml.org,2002:null"


class _NamesLoader(UniqueKeyLoader):
    """YAML loader that reads every scalar as a string (`1`, `1.50` and `yes` are labels), except null."""


_NamesLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag == _NULL]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_class_map(given: str, flag: str = "--map") -> ClassMap:
    """Read a mapping from a YAML or JSON file, or from JSON text (`{"angry": "anger", "other": null}`).

    Raises ConfigError if it cannot be read or does not map names to names.
    """
    try:
        text = given if given.lstrip().startswith("{") else Path(given).read_text(encoding="utf-8")
        raw = yaml.load(text, _NamesLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise _error(flag, f"{shown(given, PATH_LENGTH)} cannot be read: {shortened(error)}") from None
    except YAML_ERRORS as error:
        raise _error(flag, f"not valid YAML or JSON: {shortened(error)}") from None
    if not isinstance(raw, dict):
        raise _error(flag, f"must be a mapping `class of the tested run: class of the training run`, not {shown(raw)}")
    for name, target in raw.items():
        if not isinstance(name, str) or not (target is None or isinstance(target, str)):
            raise _error(flag, f"{shown(name)}: {shown(target)}: a class maps to the name of one class, or to null")
    return raw


def _error(flag: str, message: str) -> ConfigError:
    return ConfigError([Problem(flag, message)], "flags")
