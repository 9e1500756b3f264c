"""Codes of dataset rows: latent activations at every position, with the token or patch of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from saefari.errors import StoreError
from saefari.store import has_images, read_codes_rows, read_sample_rows, read_samples, strongest_latents

if TYPE_CHECKING:
    from scipy import sparse


@dataclass(frozen=True)
class Codes:
    """Codes of some rows of a dataset split from one SAE.

    matrix: float32 [n_positions, d_sae], latent activations (≥ 0, in the units of the SAE); sparse.
    rows: int64 [n_rows], the numbers of the rows in the dataset.
    offsets: int64 [n_rows + 1]; rows[i] owns the positions offsets[i]:offsets[i + 1] of the matrix.
    positions: one line per row of the matrix: `row`, `position` (counted from 0 within the row), `token` (its
    characters; "" for a special token or a patch), `outlier` (True: excluded from pooling, no active latent) and, if
    the rows have images, `patch` (index of the image cell, row by row; -1 for positions outside the image).
    """

    matrix: sparse.csr_array
    rows: np.ndarray
    offsets: np.ndarray
    positions: pd.DataFrame

    def top_latents(self, row: int, position: int, n: int = 10) -> pd.DataFrame:
        """Return the n strongest latents at one position: `latent`, `activation`; all if fewer are active.

        row: its number in the dataset. position: counted from 0 within the row.
        Raises StoreError if the row was not read or has no such position.

        Example: `codes.top_latents(row=17, position=0)`.
        """
        places = np.flatnonzero(self.rows == row)
        if len(places) == 0:
            raise StoreError(f"row {row} is not among the {len(self.rows):,} rows that were read; add it to `rows`")
        start, stop = self.offsets[places[0]], self.offsets[places[0] + 1]
        if not 0 <= position < stop - start:
            raise StoreError(f"row {row} has no position {position}; it has {stop - start}, counted from 0")
        latents, activations = strongest_latents(self.matrix, start + position)
        return pd.DataFrame({"latent": latents[:n], "activation": activations[:n]})


def read_codes(folder: Path, rows: Sequence[int] | None = None) -> Codes:
    """Read the codes of these rows, in this order; None = all rows.

    folder: folder of one SAE's codes, below the split's samples. Raises StoreError if a row is not stored.
    """
    samples = folder.parents[1]
    if rows is None:
        rows = read_samples(samples, ["row"])["row"].to_pylist()
    shard = read_codes_rows(folder, rows)
    columns = ["text", "span_start", "span_end", *(["patch"] if has_images(samples) else [])]
    stored = read_sample_rows(samples, rows, columns).to_pydict()
    lengths = np.diff(shard.offsets)
    if [len(spans) for spans in stored["span_start"]] != lengths.tolist():
        raise StoreError(f"{folder}: the codes were made from other samples: run the extraction again")
    numbers = np.asarray(rows, dtype=np.int64)
    positions = {
        "row": np.repeat(numbers, lengths),
        "position": np.arange(shard.offsets[-1]) - np.repeat(shard.offsets[:-1], lengths),
        "token": [
            (text or "")[start:stop]
            for text, starts, stops in zip(stored["text"], stored["span_start"], stored["span_end"], strict=True)
            for start, stop in zip(starts, stops, strict=True)
        ],
        "outlier": np.isin(np.arange(shard.offsets[-1]), shard.outliers),
    }
    if "patch" in stored:
        positions["patch"] = np.concatenate([np.asarray(patch or [], dtype=np.int64) for patch in stored["patch"]])
    return Codes(shard.to_csr(), numbers, shard.offsets, pd.DataFrame(positions))
