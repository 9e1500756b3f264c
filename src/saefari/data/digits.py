"""Handwritten digits dataset of scikit-learn."""

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
_MAX_PIXEL = 16
"""Largest pixel value in scikit-learn's images."""


class Digits:
    """1,797 grey images of 8 x 8 pixels; label = the digit, "0" to "9"."""

    columns = ("image", "label", "id")
    folder: Path | None = None

    def count(self) -> int:
        """Return the number of rows."""
        return len(_digits()[0])

    def fingerprint(self) -> str:
        """Hash all pixels and labels."""
        pixels, labels = _digits()
        return sha256(pixels.tobytes() + "".join(labels).encode()).hexdigest()

    def sources(self) -> str:
        """Hash scikit-learn's version and its data file."""
        found = find_spec("sklearn")
        if found is None or not found.submodule_search_locations:
            return self.fingerprint()
        file = Path(next(iter(found.submodule_search_locations))) / "datasets" / "data" / "digits.csv.gz"
        return fingerprint({"version": version("scikit-learn"), "file": file_sha256(file)})

    def values(self, fields: Sequence[str], rows: Sequence[int] | None = None) -> Iterator[tuple[object, ...]]:
        """Yield values of the given columns, row by row; images are uint8 [8, 8]."""
        positions = [self.columns.index(field) for field in fields]
        for number, (image, label) in take_rows(enumerate(zip(*_digits(), strict=True)), rows):
            row = (image, label, f"{number:04d}")
            yield tuple(row[position] for position in positions)


@lru_cache(maxsize=1)
def _digits() -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the pixels, uint8 [1797, 8, 8], and the labels."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return np.rint(data.images * (255 / _MAX_PIXEL)).astype(np.uint8), tuple(map(str, data.target.tolist()))
