"""Explanations in files: Neuronpedia's exports, and MOSAIC's cached explanations.

Read are: a list of objects with `index` and `description` (Neuronpedia's explanation export), the same as one object
per line (its JSONL dumps, also gzipped), answers of its feature API (`explanations` inside an object with `index`), and
one object that maps each latent to its text (MOSAIC's explanation_cache).
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saefari.errors import DataError, enumerated, shown

_MOST_SHOWN = 5


@dataclass(frozen=True)
class Written:
    """An explanation on Neuronpedia. model: that wrote it, if known."""

    text: str
    model: str | None = None


def read_neuronpedia(path: Path, neuronpedia_id: str | None) -> dict[int, Written]:
    """Read explanations: latent -> the first one that is not empty.

    neuronpedia_id: of the SAE, "gemma-2-2b/12-gemmascope-res-16k"; objects of other SAEs are left out. None: all
    objects must be of one SAE. Raises DataError if the file cannot be read, is invalid, or has nothing about the SAE.
    """
    place = f"explain.file: {shown(str(path), 255)}"
    try:
        raw = path.read_bytes()
        content = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{place} does not exist") from None
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise DataError(f"{place} cannot be read ({error})") from None
    found: dict[int, Written] = {}
    saes: dict[str, int] = {}
    problems: list[str] = []
    for where, value in _objects(content, place):
        problem = _add(value, neuronpedia_id, found, saes)
        if problem:
            problems.append(f"{where}: {problem}")
    if problems:
        more = f"; and {len(problems) - _MOST_SHOWN} more" if len(problems) > _MOST_SHOWN else ""
        raise DataError(f"{place}: {'; '.join(problems[:_MOST_SHOWN])}{more}")
    if neuronpedia_id is None and len(saes) > 1:
        raise DataError(f"{place} has explanations of several SAEs: {enumerated(sorted(saes))}; give one file per SAE")
    if not found:
        others = f"; it has {enumerated(sorted(saes))}" if saes else ""
        raise DataError(f"{place} has no explanations{f' of {neuronpedia_id}' if neuronpedia_id else ''}{others}")
    return found


def first_explanation(value: Any) -> Written | None:
    """Return the first explanation that is not empty in a flat object, or in its list `explanations`."""
    nested = value.get("explanations")
    for one in nested if isinstance(nested, list) else [value]:
        text = one.get("description") if isinstance(one, dict) else None
        if isinstance(text, str) and text.strip():
            model = one.get("explanationModelName")
            return Written(" ".join(text.split()), model if isinstance(model, str) and model else None)
    return None


def _objects(content: str, place: str) -> Iterator[tuple[str, Any]]:
    """Yield (where in the file, object). Raises DataError if the file is neither JSON nor JSON Lines."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        yield from _lines(content, place)
        return
    if isinstance(value, list):
        yield from ((f"item {number}", item) for number, item in enumerate(value, 1))
    elif isinstance(value, dict) and value and all(key.isascii() and key.isdigit() for key in value):
        for key, text in value.items():
            yield f"key {shown(key)}", {"index": key, "description": text}
    else:
        yield "the object", value


def _lines(content: str, place: str) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(content.split("\n"), 1):
        if line.strip():
            try:
                yield f"line {number}", json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(f"{place}, line {number}: not valid JSON ({error})") from None


def _add(value: Any, wanted: str | None, found: dict[int, Written], saes: dict[str, int]) -> str | None:
    """Add an object's explanation to `found` and its SAE to `saes`; return what is wrong with it, if anything."""
    if not isinstance(value, dict) or "index" not in value:
        return "not an object with index and description"
    index = value["index"]
    is_number = isinstance(index, int) and not isinstance(index, bool) and index >= 0
    if not is_number and not (isinstance(index, str) and index.isascii() and index.isdigit() and len(index) < 10):
        return f"index is {shown(index, 40)}, not a number from 0"
    if isinstance(value.get("modelId"), str) and isinstance(value.get("layer"), str):
        sae = f"{value['modelId']}/{value['layer']}"
        saes[sae] = saes.get(sae, 0) + 1
        if wanted is not None and sae != wanted:
            return None
    written = first_explanation(value)
    if written is not None:
        found.setdefault(int(index), written)
    return None
