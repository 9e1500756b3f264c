"""Examples of a latent: its strongest rows, rows by activation decile, and its top tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from app.shared.data.images.picture import Picture, image_columns, stored_picture
from app.shared.data.images.positions import position_name
from app.shared.data.latents.firing import Firing
from saefari.store import read_sample_rows

N_TOP = 20
N_DECILES = 10
_COLUMNS = ["row", "text", "label", "span_start", "span_end"]
Sample = dict[str, Any]


@dataclass(frozen=True)
class Context:
    """One row in which a latent fires.

    sample: row, text, label, span_start and span_end of samples.parquet.
    values: float32 [n_valid], the latent's activation at each valid position. centre: the strongest position.
    picture: None if the row has no image.
    """

    sample: Sample
    values: np.ndarray
    centre: int
    picture: Picture | None = None

    @property
    def peak(self) -> float:
        return float(self.values[self.centre])


@dataclass(frozen=True)
class TokenCount:
    """A token or patch: its name, its number among the strongest activations, and their mean."""

    text: str
    count: int
    mean: float
    is_patch: bool = False


def strongest_contexts(codes: Firing, samples: Path, latent: int) -> list[Context]:
    """The N_TOP rows with the largest activation, strongest first. Raises StoreError if samples cannot be read.

    A row is ranked by its strongest position, so no text appears twice.
    """
    return _contexts(codes, samples, latent, _ascending(codes, latent)[::-1][:N_TOP])


def decile_contexts(codes: Firing, samples: Path, latent: int, n_each: int, decile: int = 0) -> list[list[Context]]:
    """Draw `n_each` rows from each decile of the rows in which a latent fires, ranked by their strongest position.

    decile: 1 (weakest) to 10 for one decile, 0 for all, strongest first. The draw is seeded. Raises StoreError.
    """
    ascending = _ascending(codes, latent)
    parts = np.array_split(np.arange(len(ascending)), N_DECILES)
    found = []
    for number in [decile] if decile else range(N_DECILES, 0, -1):
        part = parts[number - 1]
        random = np.random.default_rng([latent, number])
        drawn = np.sort(random.choice(part, min(n_each, len(part)), replace=False))[::-1]
        found.append(ascending[drawn])
    contexts = iter(_contexts(codes, samples, latent, np.concatenate(found)))
    return [[next(contexts) for _ in part] for part in found]


def top_tokens(
    codes: Firing, samples: Path, latents: Sequence[int], most_activations: int = 100, most_tokens: int = 20
) -> dict[int, list[TokenCount]]:
    """Map latent -> the most frequent tokens at its strongest activations. Raises StoreError.

    The texts for all latents are read at once.
    """
    strongest = {}
    for latent in latents:
        positions, values = codes.of(latent)
        order = np.argsort(-values, kind="stable")[:most_activations]
        strongest[latent] = positions[order], codes.row_places(positions[order]), values[order]
    wanted = np.unique(np.concatenate([np.zeros(0, np.int64), *(places for _, places, _ in strongest.values())]))
    texts = _texts(codes, samples, wanted)
    pictures = {place: stored_picture(samples, one["row"], one) for place, one in texts.items()}
    found = {}
    for latent, (positions, places, values) in strongest.items():
        tokens = [
            _token(texts[place], pictures[place], int(position - codes.offsets[place]))
            for position, place in zip(positions.tolist(), places.tolist(), strict=True)
        ]
        found[latent] = _counted(tokens, values)[:most_tokens]
    return found


def _ascending(codes: Firing, latent: int) -> np.ndarray:
    """Indices of each row's strongest activation (the first of equals), weakest row first."""
    positions, values = codes.of(latent)
    places = codes.row_places(positions)
    by_row = np.lexsort((-values, places))
    _, first = np.unique(places[by_row], return_index=True)
    peaks = by_row[first]
    return peaks[np.lexsort((-peaks, values[peaks]))]


def _contexts(codes: Firing, samples: Path, latent: int, chosen: np.ndarray) -> list[Context]:
    """The rows that contain the chosen activations of a latent, in the given order."""
    positions, values = codes.of(latent)
    places = codes.row_places(positions)
    texts = _texts(codes, samples, np.unique(places[chosen]))
    found = []
    for at in chosen.tolist():
        place = int(places[at])
        first, stop = codes.offsets[place : place + 2]
        here = places == place
        row_values = np.zeros(stop - first, dtype=np.float32)
        row_values[positions[here] - first] = values[here]
        sample = texts[place]
        picture = stored_picture(samples, sample["row"], sample)
        found.append(Context(sample, row_values, int(positions[at] - first), picture))
    return found


def _texts(codes: Firing, samples: Path, places: np.ndarray) -> dict[int, Sample]:
    """Map place -> row of samples.parquet."""
    if not len(places):
        return {}
    table = read_sample_rows(samples, codes.rows[places].tolist(), [*_COLUMNS, *image_columns(samples)])
    return dict(zip(places.tolist(), table.to_pylist(), strict=True))


def _token(sample: Sample, picture: Picture | None, at: int) -> tuple[str, bool]:
    """(name of a position, whether it is a patch)."""
    name = position_name(sample["text"], (sample["span_start"][at], sample["span_end"][at]), picture, at)
    return name or "(space)", picture is not None and picture.place(at) is not None


def _counted(tokens: Iterable[tuple[str, bool]], values: np.ndarray) -> list[TokenCount]:
    """Count tokens; most frequent first, then by mean activation."""
    strengths: dict[tuple[str, bool], list[float]] = {}
    for token, value in zip(tokens, values.tolist(), strict=True):
        strengths.setdefault(token, []).append(value)
    counts = [TokenCount(name, len(own), sum(own) / len(own), is_patch) for (name, is_patch), own in strengths.items()]
    return sorted(counts, key=lambda one: (-one.count, -one.mean, one.text))
