"""Which classes of one run are which of another's: read from a file or from the command line."""

from __future__ import annotations

from pathlib import Path

import yaml

from saefari.config.yaml_text import UNREADABLE, UniqueKeyLoader
from saefari.errors import PATH_LENGTH, ConfigError, Problem, shortened, shown

ClassMap = dict[str, str | None]
"""Class of the tested run -> class of the run that trained; None = its rows are left out."""

_NULL = "tag:yaml.org,2002:null"


class _NamesLoader(UniqueKeyLoader):
    """Every scalar is a name, also `1`, `1.50` and `yes`, as labels are; only null is none."""


_NamesLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag == _NULL]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_class_map(given: str, flag: str = "--map") -> ClassMap:
    """A map from a YAML or JSON file, or written out as JSON (`{"angry": "anger", "other": null}`).

    Raises ConfigError when it cannot be read or is no mapping of names to names.
    """
    try:
        text = given if given.lstrip().startswith("{") else Path(given).read_text(encoding="utf-8")
        raw = yaml.load(text, _NamesLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise _mistake(flag, f"{shown(given, PATH_LENGTH)} cannot be read: {shortened(error)}") from None
    except UNREADABLE as error:
        raise _mistake(flag, f"not valid YAML or JSON: {shortened(error)}") from None
    if not isinstance(raw, dict):
        raise _mistake(flag, f"must hold `class of the tested run: class of the training run`, not {shown(raw)}")
    for name, meant in raw.items():
        if not isinstance(name, str) or not (meant is None or isinstance(meant, str)):
            raise _mistake(flag, f"{shown(name)}: {shown(meant)}: a class maps to the name of one class, or to null")
    return raw


def _mistake(flag: str, message: str) -> ConfigError:
    return ConfigError([Problem(flag, message)], "flags")
