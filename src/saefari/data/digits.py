"""Handwritten digits, real and tiny, that come with scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from saefari.data.table import take_rows
from saefari.fingerprint import file_sha256, fingerprint

DIGITS = "digits"
_BRIGHTEST = 16
"""The scale of scikit-learn's pixels, 0..16."""


class Digits:
    """1,797 grey images of 8 x 8 pixels; label = the digit, "0" to "9"."""

    columns = ("image", "label", "id")
    folder: Path | None = None

    def count(self) -> int:
        """Number of rows."""
        return len(_digits()[0])

    def fingerprint(self) -> str:
        """Hash of all pixels and labels."""
        pixels, labels = _digits()
        return sha256(pixels.tobytes() + "".join(labels).encode()).hexdigest()

    def sources(self) -> str:
        """Hash of scikit-learn's version and of its file of digits."""
        found = find_spec("sklearn")
        if found is None or not found.submodule_search_locations:
            return self.fingerprint()
        file = Path(next(iter(found.submodule_search_locations))) / "datasets" / "data" / "digits.csv.gz"
        return fingerprint({"version": version("scikit-learn"), "file": file_sha256(file)})

    def values(self, fields: Sequence[str], rows: Sequence[int] | None = None) -> Iterator[tuple[object, ...]]:
        """Values of the given columns, row by row; an image is uint8 [8, 8]."""
        positions = [self.columns.index(field) for field in fields]
        for number, (image, label) in take_rows(enumerate(zip(*_digits(), strict=True)), rows):
            row = (image, label, f"{number:04d}")
            yield tuple(row[position] for position in positions)


@lru_cache(maxsize=1)
def _digits() -> tuple[np.ndarray, tuple[str, ...]]:
    """Pixels, uint8 [1797, 8, 8], and labels."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return np.rint(data.images * (255 / _BRIGHTEST)).astype(np.uint8), tuple(map(str, data.target.tolist()))
