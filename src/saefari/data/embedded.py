"""Datasets that come with the installation and need no network."""

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
"""Class label (a distribution's name) -> the package that holds its source."""
_ROWS_PER_CLASS = 1000


class PythonDocs:
    """Docstring paragraphs of eight installed libraries; label = the library.

    Rows alternate between the libraries, so every prefix is balanced. `module` is the file a paragraph is
    from: as `group_field` it keeps the paragraphs of one file on one side of a split. A library's own name
    stays in the text where a paragraph says it.
    """

    columns = ("id", "text", "label", "module")
    folder: Path | None = None

    def count(self) -> int:
        """Number of rows."""
        return len(_python_docs())

    def fingerprint(self) -> str:
        """Hash of the libraries' versions and of all rows."""
        return fingerprint({"versions": {name: version(name) for name in _LIBRARIES}, "rows": _python_docs()})

    def sources(self) -> str:
        """Hash of the libraries' versions and of every file that a docstring may be read from."""
        return _python_docs_sources()

    def values(self, fields: Sequence[str], rows: Sequence[int] | None = None) -> Iterator[tuple[object, ...]]:
        """Values of the given columns, row by row."""
        positions = [self.columns.index(field) for field in fields]
        return (tuple(row[position] for position in positions) for row in take_rows(_python_docs(), rows))


def open_embedded(name: str, split: str) -> Table:
    """An embedded dataset, whose only split is `train`. Raises DataError for another split."""
    if split != "train":
        raise DataError(f"{name}: there is no split {shown(split)}; it has train{nearest(split, ['train'])}")
    return Digits() if name == DIGITS else PythonDocs()


@lru_cache(maxsize=1)
def _python_docs_sources() -> str:
    """See `PythonDocs.sources`; Python is part of it, since it decides which files can be parsed."""
    files = [source for package in _LIBRARIES.values() for source in sources(package)]
    hashes = file_hashes([path for _, path in files])
    versions = {name: version(name) for name in _LIBRARIES}
    modules = [module for module, _ in files]
    return fingerprint({"python": python_version(), "versions": versions, "files": [modules, hashes]})


@lru_cache(maxsize=1)
def _python_docs() -> tuple[tuple[str, str, str, str], ...]:
    """All rows as (id, text, label, module); a text that two libraries share is the first one's."""
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
