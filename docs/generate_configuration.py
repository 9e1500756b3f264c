"""Write docs/configuration.md from the schema of conf.yaml: every key with its type, default and docstring."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BeforeValidator
from pydantic.fields import FieldInfo

from saefari.config import (
    ActivationCorpus,
    ClassificationParams,
    Client,
    Config,
    Convolution,
    Corpus,
    DatasetSpec,
    Explain,
    ModelSpec,
    Prompting,
    Resampling,
    SaeSweep,
    SaeTraining,
    Sampling,
    Settings,
    VisionTraining,
)
from saefari.config.section import Section, as_list

PAGE = Path(__file__).with_name("configuration.md")
SECTIONS: dict[str, type[Section]] = {
    "settings": Settings,
    "models[]": ModelSpec,
    "models[].sae_train": SaeTraining,
    "datasets[]": DatasetSpec,
    "classification_params": ClassificationParams,
    "sae_training[]": SaeSweep,
    "sae_training[].corpus": Corpus,
    "sae_training[].resample": Resampling,
    "vision_training": VisionTraining,
    "vision_training.conv[]": Convolution,
    "explain": Explain,
    "explain.sampling": Sampling,
    "explain.corpus": ActivationCorpus,
    "explain.prompting": Prompting,
    "explain.client": Client,
}
"""Heading -> section; `corpus` and `resample` have the same keys in `models[].sae_train`."""

INTRODUCTION = """\
<!-- Generated from src/saefari/config by docs/generate_configuration.py; `make docs` updates it. Do not edit. -->

# Configuration

A run is described by one YAML file, by default `conf.yaml`. This page lists every key.

- Required are `models` (each with `name`, `layers`, and `widths` unless there is `sae_training`) and `datasets` (each
  with `name`, and `text_field` or `image_field`, depending on what the models read).
- Unknown and duplicate keys are errors. All errors of a file are reported at once, before any model is loaded.
- A single key can be overridden on the command line: `--set settings.max_samples=200`, `--set models[0].layers=[3]`.
- `null` is accepted only where the column "type" says so.

A minimal file:

```yaml
models:
  - name: sentence-transformers/all-MiniLM-L6-v2
    layers: 3
    widths: 3k
    sae_train: {k: 16}
datasets:
  - {name: python-docs, text_field: text}
```
"""


def page() -> str:
    """Return the page as Markdown."""
    parts = [INTRODUCTION, "## Sections\n", "\n".join(_table(Config, "")), ""]
    for heading, section in SECTIONS.items():
        level = "###" if "." in heading else "##"
        parts += [f"{level} {heading}\n", inspect.cleandoc(section.__doc__ or "") + "\n"]
        parts += ["\n".join(_table(section, _anchor(heading))), ""]
    return "\n".join(parts).rstrip() + "\n"


def docstrings(section: type[Section]) -> dict[str, str]:
    """Return key -> docstring below the field, those of base classes included."""
    found: dict[str, str] = {}
    for base in reversed(section.__mro__):
        if base is not Section and issubclass(base, Section):
            (definition,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
            assert isinstance(definition, ast.ClassDef)
            found |= dict(_field_docstrings(definition.body))
    return found


def _field_docstrings(body: Sequence[ast.stmt]) -> Iterator[tuple[str, str]]:
    for field, after in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            assert isinstance(field.target, ast.Name)
            yield field.target.id, " ".join(str(after.value.value).split())


def _table(section: type[Section], anchor: str) -> Iterator[str]:
    texts = docstrings(section)
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    for key, field in section.model_fields.items():
        cell = f'<a id="{anchor}-{key}"></a>`{key}`' if anchor else f"`{key}`"
        row = (cell, type_text(field.annotation, field.metadata), _default_text(field), texts[key])
        yield f"| {' | '.join(row)} |"


def _default_text(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if isinstance(field.default, Section) and field.default == type(field.default)():
        return "" if type(field.default) in SECTIONS.values() else f"`{field.default.model_dump_json()}`"
    return f"`{json.dumps(field.default)}`"


def type_text(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """Return a type in words: `integer ≥ 1 or null`, `list of string`."""
    *first, last = _options(annotation, metadata)
    return f"{', '.join(first)} or {last}" if first else last


def _options(annotation: Any, metadata: Sequence[Any] = ()) -> list[str]:
    """Return the alternatives that a type allows."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner = [one for part in arguments[1:] for one in (part.metadata if isinstance(part, FieldInfo) else [part])]
        return _options(arguments[0], [*inner, *metadata])
    if origin in (Union, UnionType):
        return _union(arguments)
    if origin is Literal:
        return [f"`{value}`" for value in arguments]
    if origin in (list, tuple):
        if any(isinstance(one, BeforeValidator) and one.func is as_list for one in metadata):
            return [*_options(arguments[0]), "a list of these"]
        element = type_text(arguments[0])
        return [f"list of ({element})" if " or " in element else f"list of {element}"]
    if origin is dict:
        return [f"mapping of {type_text(arguments[0])} to {type_text(arguments[1])}"]
    if inspect.isclass(annotation) and issubclass(annotation, Section):
        heading = next((name for name, section in SECTIONS.items() if section is annotation), None)
        if heading is None:  # a mapping with few keys, written out where it is used
            keys = (f"{key}: {type_text(one.annotation, one.metadata)}" for key, one in annotation.model_fields.items())
            return [f"{{{', '.join(keys)}}}"]
        return [f"[{heading.split('.')[-1].removesuffix('[]')}](#{_anchor(heading)})"]
    if annotation is bool:
        return ["`true`", "`false`"]
    return [" ".join([_NAMES[annotation], *_bounds(metadata)])]


_NAMES = {str: "string", int: "integer", float: "number"}


def _union(types: Sequence[Any]) -> list[str]:
    found = [option for one in types if one is not NoneType for option in _options(one)]
    if len(found) == 2 and found[1] == f"list of {found[0]}":
        found[1] = "a list of these"
    return [*found, "`null`"] if NoneType in types else found


def _bounds(metadata: Sequence[Any]) -> Iterator[str]:
    signs = {
        annotated_types.Ge: ("≥", "ge"),
        annotated_types.Gt: (">", "gt"),
        annotated_types.Le: ("≤", "le"),
        annotated_types.Lt: ("<", "lt"),
    }
    bounds = [
        f"{sign} {getattr(one, name):,}"
        for one in metadata
        for kind, (sign, name) in signs.items()
        if isinstance(one, kind)
    ]
    yield from [" and ".join(bounds)] if bounds else []


def _anchor(heading: str) -> str:
    """Return the anchor that Markdown renderers give a heading: letters, digits and underscores."""
    return "".join(letter for letter in heading if letter.isalnum() or letter == "_")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
