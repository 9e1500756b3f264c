"""CSV and TSV files with any common separator."""

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
_MAX_FIELD_LENGTH = 2**31 - 1
_SAMPLE = 1 << 18
_SAMPLE_RECORDS = 20
"""Characters read, and records of these used, to detect the separator."""


def csv_tree(path: Path) -> Tree:
    """Return the columns of the header. Raises DataError for an empty file or a duplicate column."""
    return {name: {} for name in require_unique(path, next(_records(path)))}


def csv_count(path: Path) -> int:
    """Count the rows; reads the file once."""
    return sum(1 for _ in _records(path)) - 1


def csv_values(path: Path, columns: Sequence[Keys]) -> Iterator[tuple[object, ...]]:
    """Yield each row's values of the given columns. Raises DataError with the line of any damage."""
    tree = csv_tree(path)
    for keys in columns:
        require_column(path, tree, keys)
    positions = [list(tree).index(keys[0]) for keys in columns]
    for record in islice(_records(path), 1, None):
        yield tuple(record[position] for position in positions)


def _records(path: Path) -> Iterator[list[str]]:
    """Yield the header and every row, each as long as the header; blank lines are skipped."""
    csv.field_size_limit(_MAX_FIELD_LENGTH)
    separator = _separator(path)
    with open_text(path, newline="") as file:
        reader = csv.reader(file, delimiter=separator, strict=True)
        try:
            header = next(filter(None, reader), None)
            if header is None:
                raise DataError(f"{path}: the file is empty; the first line must contain the column names")
            yield header
            for record in filter(None, reader):
                if len(record) != len(header):
                    raise DataError(
                        f"{path}: line {reader.line_num}: {len(record)} fields, but the header has "
                        f"{len(header)}; quote fields that contain {_SEPARATORS[separator]}"
                    )
                yield record
        except csv.Error as error:
            raise DataError(
                f"{path}: line {reader.line_num}: not valid CSV: {error}; a field that starts with a quote must end "
                "with one, and quotes inside it must be doubled"
            ) from None


def _separator(path: Path) -> str:
    """Detect the character that splits the first records into as many fields as the header.

    Of several, the one implied by the file name is preferred, then the one with the most fields. If none fits all
    records, the header alone decides, and reading reports the first line that does not fit.
    """
    expected = "\t" if ".tsv" in path.name.lower() else ","
    with open_text(path, newline="") as file:
        sample = file.read(_SAMPLE)
    widths = {separator: _widths(sample, separator) for separator in _SEPARATORS}
    consistent = [separator for separator, found in widths.items() if found[0] > 1 and len(set(found)) == 1]
    if expected in consistent:
        return expected
    return max(consistent or widths, key=lambda separator: (widths[separator][0], separator == expected))


def _widths(sample: str, separator: str) -> list[int]:
    """Return the number of fields of the header and the first rows, without a record cut off by the sample's end."""
    reader = filter(None, csv.reader(StringIO(sample, newline=""), delimiter=separator))
    try:
        widths = [len(record) for record in islice(reader, _SAMPLE_RECORDS)]
    except csv.Error:
        return [0]
    is_complete = len(sample) < _SAMPLE or len(widths) == _SAMPLE_RECORDS or len(widths) < 2
    return (widths if is_complete else widths[:-1]) or [0]
