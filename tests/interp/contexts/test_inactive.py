"""Windows without any activation, for any latent and any candidates."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from saefari.interp.cache.latent_cache import Activations, Rows
from saefari.interp.contexts.inactive import Place, inactive_places
from saefari.interp.contexts.windows import Windows


@given(
    seed=st.integers(0, 1000),
    n_rows=st.integers(1, 15),
    density=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    size=st.none() | st.integers(1, 6),
    centred=st.booleans(),
    n_candidates=st.integers(0, 30),
    wanted=st.integers(0, 20),
)
def test_all_that_can_be_found_are_inactive(
    seed: int, n_rows: int, density: float, size: int | None, centred: bool, n_candidates: int, wanted: int
) -> None:
    generator = np.random.default_rng(seed)
    active = [generator.random(length) < density for length in generator.integers(0, 9, n_rows)]
    rows, activations = _cached(active)
    windows = Windows(size, centred)
    taken = set(generator.choice(n_rows, generator.integers(0, n_rows), replace=False).tolist())
    filled = [i for i in range(n_rows) if len(active[i])]
    candidates = [
        Place(i, *windows.any(len(active[i]), generator))
        for i in (generator.choice(filled, n_candidates).tolist() if filled else [])
    ]
    found = inactive_places(rows, [windows], activations, candidates, taken, wanted, generator)
    indices = [place.index for place in found]
    assert len(set(indices)) == len(indices)
    assert not set(indices) & taken
    for place in found:
        assert [place.start, place.stop] in windows.inactive(len(active[place.index]), []).tolist()
        assert not active[place.index][place.start : place.stop].any()
    possible = {i for i in range(n_rows) if len(windows.inactive(len(active[i]), np.flatnonzero(active[i])))} - taken
    assert len(found) == min(wanted, len(possible))
    # Candidates come first; of them, and of the others, rows without any activation.
    free = [c for c in candidates if c.index not in taken and not active[c.index][c.start : c.stop].any()]
    clear = {c.index for c in free if not active[c.index].any()}
    partly = {c.index for c in free} - clear
    n = len(found)
    assert set(indices[: len(clear)]) <= clear
    assert set(indices[len(clear) : len(clear) + len(partly)]) <= partly
    others = indices[min(n, len(clear | partly)) :]
    is_clear = [not active[i].any() for i in others]
    assert is_clear == sorted(is_clear, reverse=True)


def _cached(active: list[np.ndarray]) -> tuple[Rows, Activations]:
    """Rows of one source, and the activations of a latent that is active where `active` says."""
    n = len(active)
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in active])]).astype(np.int64)
    rows = Rows(np.zeros(n, dtype=np.int32), np.arange(n), offsets, np.full(n, -1, dtype=np.int32))
    places = [(i, p) for i, row in enumerate(active) for p in np.flatnonzero(row).tolist()]
    index, position = np.asarray(places, dtype=np.int64).reshape(-1, 2).T
    return rows, Activations(index, position, np.ones(len(places), np.float32), np.zeros(len(places), int), index)
