"""Summaries of an SAE's latents on one dataset split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from app.shared.data.bounded_cache import BoundedCache
from app.shared.data.codes import CodeSet
from app.shared.data.images.picture import shows_images
from app.shared.data.images.served import view_address
from app.shared.data.latents.contexts import TokenCount, top_tokens
from app.shared.data.latents.firing import Firing, densities, firing, version
from app.shared.data.saes import Sae
from saefari.errors import StoreError

LEAST_ROWS = 10
"""Minimum number of a class's rows in which a latent must fire for the class to count as its top class."""
_MOST_CELLS = 8_000_000
_MOST_BYTES = 128 * 1024 * 1024


@dataclass(frozen=True)
class Summary:
    """Statistics of every latent of a code set, over the rows that were read.

    largest: float32 [d_sae], largest activation. rows_fired: int64 [d_sae], rows in which the latent fires.
    fired: int32 [d_sae, n_classes], the same per class; None if there are no classes or too many.
    strongest: int64 [d_sae], dataset row of the largest activation, -1 if the latent never fires.
    class_rows: int64 [n_classes], rows of each class. n_rows: rows read, of total_rows in the split.
    """

    largest: np.ndarray
    rows_fired: np.ndarray
    fired: np.ndarray | None
    strongest: np.ndarray
    class_rows: np.ndarray
    classes: tuple[str, ...]
    n_rows: int
    total_rows: int

    @property
    def nbytes(self) -> int:
        return sum(value.nbytes for value in vars(self).values() if isinstance(value, np.ndarray))

    def lift(self, latents: slice = slice(None)) -> np.ndarray:
        """float64 [n_latents, n_classes]: share of a class's rows in which a latent fires, divided by that of all rows.

        NaN if the latent never fires or the class has no rows.
        """
        assert self.fired is not None
        with np.errstate(invalid="ignore", divide="ignore"):
            share = self.fired[latents] / self.class_rows
            return share / (self.rows_fired[latents, None] / self.n_rows)


@dataclass(frozen=True)
class Facts:
    """Facts about a latent for a tooltip.

    density: share of positions, None if unknown. tokens: most frequent tokens at its strongest activations. image: URL
    of the image with the largest activation, "" without images.
    """

    density: float | None = None
    tokens: tuple[str, ...] = ()
    image: str = ""


_summaries: BoundedCache[Summary] = BoundedCache(_MOST_BYTES)


def default_codes(sae: Sae) -> CodeSet | None:
    """The default code set: the complete one with the most rows, else the one with the most rows."""
    return max(sae.code_sets, key=lambda one: (one.state == "complete", one.manifest.n_rows), default=None)


def summary(codes: CodeSet) -> Summary:
    """Summarise a code set. Raises StoreError if the codes cannot be read."""
    return _summaries.get(version(codes), lambda: _summary(firing(codes)))


def facts(codes: CodeSet | None, latents: Sequence[int]) -> dict[int, Facts]:
    """Facts of a few latents, for tooltips. Missing data is left empty; nothing is raised."""
    tokens: dict[int, list[TokenCount]] = {}
    density: np.ndarray = np.zeros(0)
    images: dict[int, str] = {}
    if codes is not None:
        try:
            density = densities(codes).values
            known = [latent for latent in latents if 0 <= latent < len(density)]
            tokens = top_tokens(firing(codes), codes.samples, known, most_activations=20, most_tokens=5)
            images = strongest_images(codes, known)
        except StoreError:
            pass  # the page Health reports damaged codes
    return {
        latent: Facts(
            float(density[latent]) if 0 <= latent < len(density) else None,
            tuple(one.text for one in tokens.get(latent, []) if not one.is_patch),
            images.get(latent, ""),
        )
        for latent in latents
    }


def class_association(codes: CodeSet, latent: int) -> pd.DataFrame:
    """Per class of a split: class, rows, fires (rows in which the latent fires), share, lift; highest lift first.

    Empty if there are no classes or too many. Raises StoreError if the codes cannot be read.
    """
    known = summary(codes)
    columns = ["class", "rows", "fires", "share", "lift"]
    if known.fired is None:
        return pd.DataFrame(columns=columns)
    fires = known.fired[latent]
    lift = known.lift(slice(latent, latent + 1))[0]
    share = fires / np.maximum(1, known.class_rows)
    table = pd.DataFrame(dict(zip(columns, (known.classes, known.class_rows, fires, share, lift), strict=True)))
    return table[table["rows"] > 0].sort_values(["lift", "class"], ascending=[False, True], ignore_index=True)


def strongest_images(codes: CodeSet, latents: Sequence[int]) -> dict[int, str]:
    """Map latent -> URL of the image with its largest activation, for latents that fire; {} without images.

    Raises StoreError if the codes cannot be read.
    """
    if not shows_images(codes.samples):
        return {}
    views, strongest = view_address(codes.samples), summary(codes).strongest
    return {latent: f"{views}{strongest[latent]}" for latent in latents if strongest[latent] >= 0}


def _summary(codes: Firing) -> Summary:
    d_sae, n_classes = codes.d_sae, len(codes.classes)
    alive = np.flatnonzero(np.diff(codes.starts))
    largest = np.zeros(d_sae, dtype=np.float32)
    if len(alive):
        largest[alive] = np.maximum.reduceat(codes.values, codes.starts[alive])
    latents = np.repeat(np.arange(d_sae, dtype=np.int32), np.diff(codes.starts))
    row_of_position = np.repeat(np.arange(codes.n_rows, dtype=np.int32), np.diff(codes.offsets))
    rows = row_of_position[codes.positions]
    strongest = np.full(d_sae, -1, dtype=np.int64)
    at_peak = np.flatnonzero(codes.values == largest[latents])
    peaked, first_peak = np.unique(latents[at_peak], return_index=True)
    strongest[peaked] = codes.rows[rows[at_peak[first_peak]]]
    first = np.ones(len(rows), dtype=bool)  # first activation of a latent in a row
    first[1:] = (rows[1:] != rows[:-1]) | (latents[1:] != latents[:-1])
    latents, rows = latents[first], rows[first]
    fired = None
    if 0 < n_classes * d_sae <= _MOST_CELLS:
        labels = codes.labels[rows]
        cells = latents.astype(np.int64)[labels >= 0] * n_classes + labels[labels >= 0]
        fired = np.bincount(cells, minlength=d_sae * n_classes).reshape(d_sae, n_classes).astype(np.int32)
    return Summary(
        largest,
        np.bincount(latents, minlength=d_sae),
        fired,
        strongest,
        np.bincount(codes.labels[codes.labels >= 0], minlength=n_classes),
        codes.classes,
        codes.n_rows,
        codes.total_rows,
    )
