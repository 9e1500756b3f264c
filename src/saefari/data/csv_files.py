"""CSV and TSV files, whichever character separates their fields."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from io import StringIO
from itertools import islice
from pathlib import Path

from saefari.data.columns import Keys, Tree, require_column, require_unique
from saefari.data.text_files import open_text
from saefari.errors import DataError

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_LONGEST_FIELD = 2**31 - 1
_SAMPLE = 1 << 18
"""Characters, and records of these, that the separator is found from."""
_SAMPLE_RECORDS = 20


def csv_tree(path: Path) -> Tree:
    """The columns that the header names. Raises DataError for an empty file and a name that is there twice."""
    return {name: {} for name in require_unique(path, next(_records(path)))}


def csv_count(path: Path) -> int:
    """Number of rows; reads the file once."""
    return sum(1 for _ in _records(path)) - 1


def csv_values(path: Path, columns: Sequence[Keys]) -> Iterator[tuple[object, ...]]:
    """Each row's values of the given columns. Raises DataError naming the damaged line."""
    tree = csv_tree(path)
    for keys in columns:
        require_column(path, tree, keys)
    positions = [list(tree).index(keys[0]) for keys in columns]
    for record in islice(_records(path), 1, None):
        yield tuple(record[position] for position in positions)


def _records(path: Path) -> Iterator[list[str]]:
    """The header and every row, each as long as the header; blank lines are skipped."""
    csv.field_size_limit(_LONGEST_FIELD)
    separator = _separator(path)
    with open_text(path, newline="") as file:
        reader = csv.reader(file, delimiter=separator, strict=True)
        try:
            header = next(filter(None, reader), None)
            if header is None:
                raise DataError(f"{path}: the file is empty; its first line must name the columns")
            yield header
            for record in filter(None, reader):
                if len(record) != len(header):
                    raise DataError(
                        f"{path}: line {reader.line_num}: {len(record)} fields where the header names "
                        f"{len(header)}; quote a field that holds {_SEPARATORS[separator]}"
                    )
                yield record
        except csv.Error as error:
            raise DataError(
                f"{path}: line {reader.line_num}: not valid CSV: {error}; a field that begins with a quote must end "
                "with one, and quotes inside it must be doubled"
            ) from None


def _separator(path: Path) -> str:
    """The character that divides the first records into as many fields as the header has.

    The one that the file's name promises comes first, then the one that gives the most fields. Where none divides all
    of them evenly, the header alone decides, and reading will name the line that is uneven.
    """
    promised = "\t" if ".tsv" in path.name.lower() else ","
    with open_text(path, newline="") as file:
        sample = file.read(_SAMPLE)
    widths = {separator: _widths(sample, separator) for separator in _SEPARATORS}
    even = [separator for separator, found in widths.items() if found[0] > 1 and len(set(found)) == 1]
    if promised in even:
        return promised
    return max(even or widths, key=lambda separator: (widths[separator][0], separator == promised))


def _widths(sample: str, separator: str) -> list[int]:
    """Fields of the header and of the first rows; of a sample that ends within a record, without this one."""
    reader = filter(None, csv.reader(StringIO(sample, newline=""), delimiter=separator))
    try:
        widths = [len(record) for record in islice(reader, _SAMPLE_RECORDS)]
    except csv.Error:
        return [0]
    whole = len(sample) < _SAMPLE or len(widths) == _SAMPLE_RECORDS or len(widths) < 2
    return (widths if whole else widths[:-1]) or [0]
