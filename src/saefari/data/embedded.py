"""Embedded datasets, which are part of the installation and need no network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from platform import python_version

from saefari.data.digits import DIGITS, Digits
from saefari.data.docstrings import paragraphs, sources
from saefari.data.table import Table, take_rows
from saefari.errors import DataError, nearest, shown
from saefari.fingerprint import file_hashes, fingerprint

PYTHON_DOCS = "python-docs"
EMBEDDED = (PYTHON_DOCS, DIGITS)
_LIBRARIES = {
    "numpy": "numpy",
    "pandas": "pandas",
    "scikit-learn": "sklearn",
    "scipy": "scipy",
    "torch": "torch",
    "transformers": "transformers",
    "plotly": "plotly",
    "matplotlib": "matplotlib",
}
"""Class label (name of a distribution) -> package with its source."""
_ROWS_PER_CLASS = 1000


class PythonDocs:
    """Docstring paragraphs of eight installed libraries; label = the library.

    Rows alternate between the libraries, so every prefix is balanced. `module` is the source file of a paragraph:
    as `group_field` it keeps the paragraphs of a file on one side of a split. Names of libraries are not removed
    from the text.
    """

    columns = ("id", "text", "label", "module")
    folder: Path | None = None

    def count(self) -> int:
        """Return the number of rows."""
        return len(_python_docs())

    def fingerprint(self) -> str:
        """Hash the libraries' versions and all rows."""
        return fingerprint({"versions": {name: version(name) for name in _LIBRARIES}, "rows": _python_docs()})

    def sources(self) -> str:
        """Hash the libraries' versions and every file that docstrings are read from."""
        return _python_docs_sources()

    def values(self, fields: Sequence[str], rows: Sequence[int] | None = None) -> Iterator[tuple[object, ...]]:
        """Yield values of the given columns, row by row."""
        positions = [self.columns.index(field) for field in fields]
        return (tuple(row[position] for position in positions) for row in take_rows(_python_docs(), rows))


def open_embedded(name: str, split: str) -> Table:
    """Open an embedded dataset. Its only split is `train`; raises DataError for any other."""
    if split != "train":
        raise DataError(f"{name}: split {shown(split)} does not exist; splits: train{nearest(split, ['train'])}")
    return Digits() if name == DIGITS else PythonDocs()


@lru_cache(maxsize=1)
def _python_docs_sources() -> str:
    """See `PythonDocs.sources`. Includes Python's version, which determines which files can be parsed."""
    files = [source for package in _LIBRARIES.values() for source in sources(package)]
    hashes = file_hashes([path for _, path in files])
    versions = {name: version(name) for name in _LIBRARIES}
    modules = [module for module, _ in files]
    return fingerprint({"python": python_version(), "versions": versions, "files": [modules, hashes]})


@lru_cache(maxsize=1)
def _python_docs() -> tuple[tuple[str, str, str, str], ...]:
    """Return all rows as (id, text, label, module); a text of two libraries is kept for the first one only."""
    seen: set[str] = set()
    classes = []
    for label, package in _LIBRARIES.items():
        fresh = (paragraph for paragraph in paragraphs(package) if paragraph.text.lower() not in seen)
        rows = [
            (f"{paragraph.module}:{paragraph.name}:{number}", paragraph.text, label, paragraph.module)
            for number, paragraph in enumerate(islice(fresh, _ROWS_PER_CLASS))
        ]
        seen.update(text.lower() for _, text, _, _ in rows)
        classes.append(rows)
    return tuple(row for rows in zip(*classes, strict=False) for row in rows)
