"""Windows in which a latent is inactive at every position."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

import numpy as np

from saefari.interp.cache.latent_cache import Activations, Rows
from saefari.interp.contexts.windows import Windows


@dataclass(frozen=True)
class Place:
    """Positions [start, stop) of the row with an index into `LatentCache.rows`."""

    index: int
    start: int
    stop: int


class InactiveKind(Protocol):
    """A way to find windows that resemble a latent's active contexts although it is inactive there."""

    def candidates(
        self, latent: int, activations: Activations, active: Sequence[Place], generator: np.random.Generator
    ) -> Sequence[Place]:
        """Return windows, the hardest first; the latent may be active in some of them.

        activations: of the latent. active: its contexts for scorers.
        """
        ...


def inactive_places(
    rows: Rows,
    windows: Sequence[Windows],
    activations: Activations,
    candidates: Sequence[Place],
    taken: Collection[int],
    wanted: int,
    generator: np.random.Generator,
) -> list[Place]:
    """Return up to `wanted` windows without any activation of a latent, each in another row.

    windows: by source. activations: of the latent. candidates: tried first, in this order, those in rows without any
    activation before the others. taken: indices of rows that may not be used. The others are random, and again come
    from rows without any activation as far as there are any.
    """
    active = activations.active_rows
    clear = [place for place in candidates if not _contains(active, place.index)]
    partly = [place for place in candidates if _contains(active, place.index) and _is_inactive(activations, place)]
    used = set(taken)
    found: list[Place] = []
    for place in chain(clear, partly, _random(rows, windows, activations, used, wanted, generator)):
        if len(found) == wanted:
            break
        if place.index not in used:
            used.add(place.index)
            found.append(place)
    return found


def _random(
    rows: Rows,
    windows: Sequence[Windows],
    activations: Activations,
    used: Collection[int],
    wanted: int,
    generator: np.random.Generator,
) -> Iterator[Place]:
    """Yield random inactive windows; first of rows without any activation, then of the other rows."""
    is_clear = rows.lengths > 0
    is_clear[activations.active_rows] = False
    is_clear[list(used)] = False
    clear = np.flatnonzero(is_clear)
    for index in generator.choice(clear, min(wanted, len(clear)), replace=False).tolist():
        yield Place(index, *windows[int(rows.source[index])].any(int(rows.lengths[index]), generator))
    for index in generator.permutation(activations.active_rows).tolist():
        positions = _positions(activations, index)
        free = windows[int(rows.source[index])].inactive(int(rows.lengths[index]), positions)
        if len(free):
            yield Place(index, *free[generator.integers(len(free))].tolist())


def _positions(activations: Activations, index: int) -> np.ndarray:
    """Return the positions in a row at which the latent is active, ascending."""
    low, high = np.searchsorted(activations.index, [index, index + 1])
    return activations.position[low:high]


def _is_inactive(activations: Activations, place: Place) -> bool:
    low, high = np.searchsorted(_positions(activations, place.index), [place.start, place.stop])
    return bool(low == high)


def _contains(ascending: np.ndarray, value: int) -> bool:
    at = int(np.searchsorted(ascending, value))
    return at < len(ascending) and int(ascending[at]) == value
