"""Kinds of inactive windows: random ones that all latents share, similar texts, contexts of neighbouring latents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import zip_longest

import numpy as np

from saefari.config.explanation import HardInactive, Sampling
from saefari.errors import DataError
from saefari.interp.cache.latent_cache import Activations, LatentCache
from saefari.interp.contexts.inactive import InactiveKind, Place
from saefari.interp.contexts.neighbours import Neighbours, co_occurring, similar_directions
from saefari.interp.contexts.rows import TokenRows
from saefari.interp.contexts.windows import Windows, windows_by_source

N_NEIGHBOURS = 10
"""Neighbours of a latent whose contexts serve as its inactive ones."""
_PER_NEIGHBOUR = 100
POOL = 1000
"""Random windows that all latents share, so that each is embedded once."""

Embed = Callable[[Sequence[str]], np.ndarray]
"""Texts -> vectors [n, d]."""
Directions = Callable[[], Iterable[np.ndarray]]
"""Yields blocks [<= block, d_in] of the directions of all latents in order."""


def inactive_kind(
    kind: HardInactive,
    cache: LatentCache,
    sampling: Sampling,
    seed: int,
    rows: Mapping[str, TokenRows],
    latents: Sequence[int],
    embed: Embed | None = None,
    directions: Directions | None = None,
) -> InactiveKind:
    """Return how inactive contexts of `latents` are found, for `ExampleSampler`.

    embed: for `embedding`. directions: for `decoder` and `encoder`, such as `lambda: iter_decoder(folder)`.
    Raises ValueError if the part that the kind needs is missing, DataError for `embedding` of images.
    """
    windows = windows_by_source(cache, sampling, rows)
    if kind == "random":
        return CommonWindows(cache, windows, seed)
    if kind == "embedding":
        if embed is None:
            raise ValueError("inactive contexts of kind embedding need `embed`")
        images = [source for source in cache.sources if rows[source].has_images]
        if images:
            raise DataError(
                f"explain.sampling.inactive_kind: embedding compares texts, and {', '.join(images)} has images; use "
                "random, cooccurrence, decoder or encoder"
            )
        return SimilarTexts(cache, windows, seed, [rows[source] for source in cache.sources], embed)
    if kind == "cooccurrence":
        return NeighbourContexts(cache, windows, co_occurring(cache, latents, N_NEIGHBOURS))
    if directions is None:
        raise ValueError(f"inactive contexts of kind {kind} need `directions`")
    return NeighbourContexts(cache, windows, similar_directions(cache, latents, N_NEIGHBOURS, directions))


class CommonWindows:
    """Random windows that all latents share, so that a scorer embeds or reads each only once; see `InactiveKind`."""

    def __init__(self, cache: LatentCache, windows: Sequence[Windows], seed: int) -> None:
        """windows: by source."""
        self._places = random_windows(cache, windows, seed)

    def candidates(
        self, latent: int, activations: Activations, active: Sequence[Place], generator: np.random.Generator
    ) -> list[Place]:
        """Return them in random order."""
        return [self._places[i] for i in generator.permutation(len(self._places))]


def random_windows(cache: LatentCache, windows: Sequence[Windows], seed: int) -> list[Place]:
    """Return up to POOL random windows, each of another row. windows: by source."""
    rows, generator = cache.rows, np.random.default_rng([seed])
    filled = np.flatnonzero(rows.lengths > 0)
    places = []
    for index in generator.choice(filled, min(POOL, len(filled)), replace=False).tolist():
        cut, length = windows[int(rows.source[index])], int(rows.lengths[index])
        places.append(Place(index, *cut.any(length, generator)))
    return places


class NeighbourContexts:
    """Contexts around the strongest activations of a latent's neighbours; see `InactiveKind`."""

    def __init__(self, cache: LatentCache, windows: Sequence[Windows], neighbours: Neighbours) -> None:
        """windows: by source."""
        self._cache = cache
        self._windows = windows
        self._neighbours = neighbours

    def candidates(
        self, latent: int, activations: Activations, active: Sequence[Place], generator: np.random.Generator
    ) -> list[Place]:
        """Take turns among the neighbours; of each in random order, rows without the latent first."""
        lists = [self._contexts(int(one), activations, generator) for one in self._neighbours[latent]]
        return [place for turn in zip_longest(*lists) for place in turn if place is not None]

    def _contexts(self, neighbour: int, activations: Activations, generator: np.random.Generator) -> list[Place]:
        found = self._cache.of(neighbour)
        order = generator.permutation(len(found.strongest))
        has_latent = np.isin(found.active_rows[order], activations.active_rows)
        order = order[np.argsort(has_latent, kind="stable")][:_PER_NEIGHBOUR]
        return [self._around(found, int(which)) for which in found.strongest[order]]

    def _around(self, found: Activations, which: int) -> Place:
        index = int(found.index[which])
        windows = self._windows[int(found.source[which])]
        return Place(index, *windows.around(int(found.position[which]), int(self._cache.rows.lengths[index])))


class SimilarTexts:
    """Windows whose embedding is nearest to those of a latent's active contexts; see `InactiveKind`."""

    def __init__(
        self, cache: LatentCache, windows: Sequence[Windows], seed: int, rows: Sequence[TokenRows], embed: Embed
    ) -> None:
        """windows, rows: by source."""
        self._cache = cache
        self._windows = windows
        self._seed = seed
        self._rows = rows
        self._embed = embed

    def candidates(
        self, latent: int, activations: Activations, active: Sequence[Place], generator: np.random.Generator
    ) -> list[Place]:
        """Order the pool: the nearest window of each active context, then the second nearest of each, and so on."""
        if not active:
            return []
        places, vectors = self._pool
        cosines = vectors @ self._vectors(active).T  # [pool, active]
        ranks = np.empty(cosines.shape, dtype=np.int64)
        np.put_along_axis(ranks, np.argsort(-cosines, axis=0, kind="stable"), np.arange(len(places))[:, None], axis=0)
        order = np.lexsort((-cosines.max(axis=1), ranks.min(axis=1)))
        return [places[i] for i in order]

    @cached_property
    def _pool(self) -> tuple[list[Place], np.ndarray]:
        """Random windows, one per row, and their unit vectors [pool, d]."""
        places = random_windows(self._cache, self._windows, self._seed)
        return places, self._vectors(places)

    def _vectors(self, places: Sequence[Place]) -> np.ndarray:
        """Return unit vectors of the windows' texts, [n, d]."""
        rows = self._cache.rows
        texts = [
            "".join(self._rows[int(rows.source[p.index])].tokens(int(rows.row[p.index]), p.start, p.stop))
            for p in places
        ]
        vectors = np.asarray(self._embed(texts), dtype=np.float32)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: np.ndarray = vectors / np.maximum(norms, np.finfo(np.float32).tiny)
        return unit
