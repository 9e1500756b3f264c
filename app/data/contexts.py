"""The texts in which a latent fires: its strongest, samples from weak to strong, and the tokens it fires at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from app.data.firing import Firing
from saefari.store import read_sample_rows

N_TOP = 20
N_PER_DECILE = 3
_COLUMNS = ["row", "text", "label", "span_start", "span_end"]
Sample = dict[str, Any]


@dataclass(frozen=True)
class Context:
    """One row in which a latent fires.

    sample: its row, text, label, span_start and span_end of samples.parquet.
    values: float32 [n_valid], the latent's activation at each valid position. centre: where it is strongest.
    """

    sample: Sample
    values: np.ndarray
    centre: int

    @property
    def peak(self) -> float:
        return float(self.values[self.centre])


@dataclass(frozen=True)
class TokenCount:
    """A token's text, how many of the strongest activations are at it, and how strong these are on average."""

    text: str
    count: int
    mean: float


@dataclass(frozen=True)
class Contexts:
    """top: strongest first. deciles: from the weakest tenth of the rows to the strongest; empty with few rows."""

    top: list[Context]
    deciles: list[list[Context]]
    n_rows: int


def contexts(codes: Firing, samples: Path, latent: int) -> Contexts:
    """Examples of one latent; the same ones every time. Raises StoreError when samples cannot be read.

    A row counts by its strongest position, so that no text is shown twice among the top.
    """
    positions, values = codes.of(latent)
    places = codes.row_places(positions)
    strongest = _first_of_each(places, values)
    peaks, order = values[strongest], np.argsort(-values[strongest], kind="stable")
    top = strongest[order[:N_TOP]]
    deciles = _deciles(strongest[np.argsort(peaks, kind="stable")], latent) if len(strongest) > N_TOP else []
    wanted = np.unique(np.concatenate([places[top], *(places[part] for part in deciles)])).astype(np.int64)
    texts = _texts(codes, samples, wanted)

    def context(at: int) -> Context:
        place = int(places[at])
        first, stop = codes.offsets[place : place + 2]
        row_values = np.zeros(stop - first, dtype=np.float32)
        here = places == place
        row_values[positions[here] - first] = values[here]
        return Context(texts[place], row_values, int(positions[at] - first))

    return Contexts([context(at) for at in top], [[context(at) for at in part] for part in deciles], len(strongest))


def top_tokens(
    codes: Firing, samples: Path, latents: Sequence[int], most_activations: int = 100, most_tokens: int = 20
) -> dict[int, list[TokenCount]]:
    """latent -> the tokens most frequent at its strongest activations. Raises StoreError.

    The texts of all latents are read together.
    """
    strongest = {}
    for latent in latents:
        positions, values = codes.of(latent)
        order = np.argsort(-values, kind="stable")[:most_activations]
        strongest[latent] = positions[order], codes.row_places(positions[order]), values[order]
    wanted = np.unique(np.concatenate([np.zeros(0, np.int64), *(places for _, places, _ in strongest.values())]))
    texts = _texts(codes, samples, wanted)
    found = {}
    for latent, (positions, places, values) in strongest.items():
        tokens = [
            _token(texts[place], int(position - codes.offsets[place]))
            for position, place in zip(positions.tolist(), places.tolist(), strict=True)
        ]
        found[latent] = _counted(tokens, values)[:most_tokens]
    return found


def _first_of_each(places: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Indices of the strongest (the first, where equal) activation of each row."""
    order = np.lexsort((-values, places))
    _, first = np.unique(places[order], return_index=True)
    return order[first]


def _deciles(ascending: np.ndarray, latent: int) -> list[np.ndarray]:
    """A few of each tenth, strongest first, drawn alike every time."""
    random = np.random.default_rng(latent)
    parts = np.array_split(np.arange(len(ascending)), 10)
    return [
        ascending[np.sort(random.choice(part, min(N_PER_DECILE, len(part)), replace=False))[::-1]] for part in parts
    ]


def _texts(codes: Firing, samples: Path, places: np.ndarray) -> dict[int, Sample]:
    """place -> its row of samples.parquet."""
    if not len(places):
        return {}
    table = read_sample_rows(samples, codes.rows[places].tolist(), _COLUMNS)
    return dict(zip(places.tolist(), table.to_pylist(), strict=True))


def _token(sample: Sample, at: int) -> str:
    start, stop = sample["span_start"][at], sample["span_end"][at]
    return (sample["text"] or "")[start:stop].strip() or "(space)"


def _counted(tokens: Iterable[str], values: np.ndarray) -> list[TokenCount]:
    """Most frequent first; where equal, the stronger."""
    strengths: dict[str, list[float]] = {}
    for token, value in zip(tokens, values.tolist(), strict=True):
        strengths.setdefault(token, []).append(value)
    counts = [TokenCount(token, len(own), sum(own) / len(own)) for token, own in strengths.items()]
    return sorted(counts, key=lambda one: (-one.count, -one.mean, one.text))
