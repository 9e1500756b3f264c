"""Explanations that a person wrote, from a CSV file."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saefari.errors import DataError, enumerated, readable, shown
from saefari.interp.explainers.shorten import short_name
from saefari.interp.records import Explanation, LatentExamples, NotPossibleError

_REQUIRED, _OPTIONAL = ("latent", "text"), ("name",)
_MOST_SHOWN = 10


@dataclass
class HumanExplainer:
    """Looks latents up in a table that `read_human` returns. texts: latent -> (name, sentence)."""

    texts: dict[int, tuple[str, str]]
    name: str = "human"

    async def explain(self, examples: LatentExamples) -> Explanation:
        """Return the written explanation. Raises ExplanationError if the file has none for the latent."""
        if examples.latent not in self.texts:
            raise NotPossibleError(f"explain.file has no row for latent {examples.latent}")
        name, sentence = self.texts[examples.latent]
        return Explanation(name, sentence, self.name)


def read_human(path: Path) -> dict[int, tuple[str, str]]:
    """Read a CSV with the columns latent and text, and optionally name: latent -> (name, sentence).

    Raises DataError with the line numbers of all mistakes.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _read(csv.reader(file, strict=True), readable(str(path), 255))
    except FileNotFoundError:
        raise DataError(f"explain.file: {shown(str(path), 255)} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"explain.file: {shown(str(path), 255)} cannot be read ({error})") from None


def _read(rows: Any, path: str) -> dict[int, tuple[str, str]]:
    """rows: a `csv.reader`, whose type has no public name."""
    found: dict[int, tuple[str, str]] = {}
    problems: list[str] = []
    header: list[str] | None = None
    try:
        for row in rows:
            line = rows.line_num
            if not any(cell.strip() for cell in row):
                continue
            if header is None:
                header = _header(row, path)
                continue
            problem = _add(dict(zip(header, row, strict=False)), len(row) - len(header), found)
            if problem:
                problems.append(f"line {line}: {problem}")
    except csv.Error as error:
        problems.append(f"line {rows.line_num}: not valid CSV ({error})")
    if header is None:
        raise DataError(f"{path} is empty: it needs a first line with the columns {', '.join(_REQUIRED)}")
    if problems:
        more = f"; and {len(problems) - _MOST_SHOWN} more" if len(problems) > _MOST_SHOWN else ""
        raise DataError(f"{path}: {'; '.join(problems[:_MOST_SHOWN])}{more}")
    return found


def _header(row: list[str], path: str) -> list[str]:
    header = [cell.strip().lower() for cell in row]
    missing = [column for column in _REQUIRED if column not in header]
    twice = [column for column in (*_REQUIRED, *_OPTIONAL) if header.count(column) > 1]
    if missing or twice:
        what = f"has no column {missing[0]}" if missing else f"has the column {twice[0]} twice"
        raise DataError(f"{path}: the first line {what}; columns: {enumerated(header)}")
    return header


def _add(cells: dict[str, str], n_surplus: int, found: dict[int, tuple[str, str]]) -> str | None:
    """Add a row to `found`; return what is wrong with it, if anything."""
    if n_surplus:
        return f"{'more' if n_surplus > 0 else 'fewer'} cells than the first line (quote texts that contain commas)"
    number, text = cells["latent"].strip(), " ".join(cells["text"].split())
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        return f"latent is {shown(number, 40)}, not a number from 0"
    if not text:
        return "text is empty"
    if int(number) in found:
        return f"latent {int(number)} is there twice"
    found[int(number)] = " ".join(cells.get("name", "").split()) or short_name(text), text
    return None
