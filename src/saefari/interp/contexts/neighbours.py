"""Latents that resemble a latent: they fire at the same positions, or have similar directions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from saefari.interp.cache.latent_cache import LatentCache

_MAX_ELEMENTS = 1 << 24
"""Elements of a dense block of similarities [latents, d_sae]."""
_LATENTS_AT_ONCE = 1024
Neighbours = dict[int, np.ndarray]
"""Latent -> its neighbours, int64, the most similar first; neither itself nor latents that the cache lacks."""


def co_occurring(cache: LatentCache, latents: Sequence[int], n: int) -> Neighbours:
    """Return the n latents with the largest Jaccard index of active positions: |both| / |either|.

    Only latents that the cache keeps and that share a position are neighbours. Memory is bounded by one segment and one
    block of counts.
    """
    found: Neighbours = {}
    step = max(1, _MAX_ELEMENTS // cache.d_sae)
    for start in range(0, len(latents), step):
        block = np.asarray(latents[start : start + step], dtype=np.int64)
        both = np.zeros((len(block), cache.d_sae), dtype=np.int64)
        for active in cache.iter_active():
            both += (active[:, block].T @ active).toarray()
        either = cache.counts[block][:, None] + cache.counts[None] - both
        similarity = both / np.maximum(either, 1)
        similarity[np.arange(len(block)), block] = 0
        found.update(zip(block.tolist(), _largest(similarity, n), strict=True))
    return found


def similar_directions(
    cache: LatentCache, latents: Sequence[int], n: int, directions: Callable[[], Iterable[np.ndarray]]
) -> Neighbours:
    """Return the n latents whose directions have the largest cosine, among those that fire in the cache.

    directions: yields blocks [<= block, d_in] of all latents in order, such as `lambda: iter_decoder(folder)`.
    """
    eligible = cache.is_kept & (cache.counts > 0)
    found: Neighbours = {}
    for start in range(0, len(latents), _LATENTS_AT_ONCE):
        block = np.asarray(latents[start : start + _LATENTS_AT_ONCE], dtype=np.int64)
        own = _unit(_rows(directions(), block))
        best, cosines, first = np.zeros((len(block), 0), dtype=np.int64), np.zeros((len(block), 0)), 0
        for part in directions():
            candidates = np.arange(first, first + len(part))
            found_here = own @ _unit(part).T
            found_here[:, ~eligible[candidates]] = -np.inf
            found_here[block[:, None] == candidates[None]] = -np.inf
            cosines = np.concatenate([cosines, found_here], axis=1)
            best = np.concatenate([best, np.broadcast_to(candidates, found_here.shape)], axis=1)
            order = np.argsort(-cosines, axis=1, kind="stable")[:, :n]
            cosines, best = np.take_along_axis(cosines, order, 1), np.take_along_axis(best, order, 1)
            first += len(part)
        found.update({int(one): row[np.isfinite(c)] for one, row, c in zip(block, best, cosines, strict=True)})
    return found


def _largest(similarity: np.ndarray, n: int) -> list[np.ndarray]:
    """Return per row the columns with the n largest values above 0, by falling value, then by column."""
    found = []
    for row in similarity:
        columns = np.flatnonzero(row)
        found.append(columns[np.argsort(-row[columns], kind="stable")[:n]])
    return found


def _rows(blocks: Iterable[np.ndarray], wanted: np.ndarray) -> np.ndarray:
    """Return the wanted rows of a matrix given in blocks."""
    parts, order, first = [], [], 0
    for block in blocks:
        here = np.flatnonzero((wanted >= first) & (wanted < first + len(block)))
        parts.append(block[wanted[here] - first])
        order.append(here)
        first += len(block)
    rows: np.ndarray = np.concatenate(parts)[np.argsort(np.concatenate(order))]
    return rows


def _unit(vectors: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms > 0, norms, 1)
