"""Turn codes of positions into one sparse row of features per sample: pooling, counting, binarizing, selection."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from saefari.config.classification import Pooling


def pool_codes(codes: sparse.csr_array, offsets: np.ndarray, how: Pooling) -> sparse.csr_array:
    """Pool each sample's positions into one row.

    codes: [n_positions, d_sae], activation units of the SAE; only active latents are stored.
    offsets: [n_samples + 1]; sample i owns rows offsets[i]:offsets[i + 1]; an empty sample gives an empty row.
    Returns [n_samples, d_sae], float32. Raises ValueError for an unknown pooling, and when offsets do not cover codes.
    """
    _check_cover(codes, offsets)
    if how == "last":
        return _last_positions(codes, offsets)
    if how == "max":
        return _largest(codes, offsets)
    if how not in ("sum", "mean"):
        raise ValueError(f"{how!r} is not a pooling")
    lengths = np.diff(offsets)
    weights = np.ones(len(lengths)) if how == "sum" else 1 / np.maximum(lengths, 1)
    per_position = np.repeat(weights.astype(np.float32), lengths)
    return _add_positions(per_position, codes, offsets)


def activation_ranks(codes: sparse.csr_array, at_least: int = 1) -> np.ndarray:
    """Rank every stored activation within its position, 0 = largest; ties go to the lower latent.

    codes: [n_positions, d_sae] with ascending indices. Returns int64 [n_active]. Ranks are exact for positions with
    more than `at_least` active latents and 0 elsewhere: a top-n of `at_least` keeps all of those without sorting.
    """
    counts = np.diff(codes.indptr)
    to_sort = np.repeat(counts > at_least, counts)
    position = np.repeat(np.arange(len(counts)), counts)[to_sort]
    order = np.lexsort((-codes.data[to_sort], position))
    index_in_position = np.arange(codes.nnz) - np.repeat(codes.indptr[:-1], counts)
    sorted_ranks = np.empty(len(order), dtype=np.int64)
    sorted_ranks[order] = index_in_position[to_sort]
    ranks = np.zeros(codes.nnz, dtype=np.int64)
    ranks[to_sort] = sorted_ranks
    return ranks


def top_n_counts(
    codes: sparse.csr_array, offsets: np.ndarray, n: int, ranks: np.ndarray | None = None
) -> sparse.csr_array:
    """Count, per sample, the positions at which each latent is among the n largest; n = -1: is active.

    codes, offsets: as for `pool_codes`. ranks: `activation_ranks` with at_least <= n, computed here if not given.
    Returns [n_samples, d_sae], float32. Raises ValueError for n = 0 or below -1, and when offsets do not cover codes.
    """
    if n < -1 or n == 0:
        raise ValueError(f"top-n must be -1 or at least 1 to be counted, not {n}")
    _check_cover(codes, offsets)
    if n == -1:
        ones = np.ones(codes.nnz, dtype=np.float32)
        counted = sparse.csr_array((ones, codes.indices, codes.indptr), shape=codes.shape)
    else:
        kept = (activation_ranks(codes, n) if ranks is None else ranks) < n
        indptr = np.concatenate([[0], np.cumsum(kept)])[codes.indptr]
        ones = np.ones(indptr[-1], dtype=np.float32)
        counted = sparse.csr_array((ones, codes.indices[kept], indptr), shape=codes.shape)
    return _add_positions(np.ones(codes.shape[0], dtype=np.float32), counted, offsets)


def pool_or_count(
    codes: sparse.csr_array, offsets: np.ndarray, how: str, top_n: int, ranks: np.ndarray | None = None
) -> sparse.csr_array:
    """Return one row per sample: pooled by `how` if top_n is 0, otherwise counted.

    codes, offsets: as for `pool_codes`. ranks: as for `top_n_counts`. Returns [n_samples, d_sae], float32.
    """
    if top_n == 0:
        return pool_codes(codes, offsets, how)  # type: ignore[arg-type]
    return top_n_counts(codes, offsets, top_n, ranks)


def binarize(features: sparse.csr_array, threshold: float) -> sparse.csr_array:
    """Return 1 where a feature is strictly above the threshold, else 0; float32.

    Raises ValueError for a negative threshold, with which every feature would be 1.
    """
    if threshold < 0:
        raise ValueError(f"binarize threshold {threshold} is negative: every feature would be 1; use 0 or more")
    above = (features.data > threshold).astype(np.float32)
    ones = sparse.csr_array((above, features.indices.copy(), features.indptr.copy()), shape=features.shape)
    ones.eliminate_zeros()
    return ones


def class_separation(features: sparse.csr_array | np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Compute the largest standardised mean difference of each feature between one class and the rest.

    features: [n_rows, n_features]; classes: int [n_rows]; a fold may lack some classes.
    |mean(class) - mean(rest)| / sqrt((var(class) + var(rest)) / 2), the largest over classes; 0 for a constant
    feature, inf where both variances are 0 and the means differ. Returns float64 [n_features].
    """
    if not isinstance(features, np.ndarray):
        occurring = np.unique(features.indices)
        if len(occurring) < features.shape[1]:  # few latents of a wide SAE are ever active
            separation = np.zeros(features.shape[1])
            separation[occurring] = class_separation(features[:, occurring], classes)
            return separation
    present, classes = np.unique(classes, return_inverse=True)
    if len(present) < 2:
        return np.zeros(features.shape[1])
    n_rows = len(classes)
    member = sparse.csr_array((np.ones(n_rows), (classes, np.arange(n_rows))), shape=(len(present), n_rows))
    sums, squares = _dense(member @ features), _dense(member @ features**2)
    sizes = np.bincount(classes)[:, None].astype(float)
    inside = _moments(sums, squares, sizes)
    outside = _moments(sums.sum(0) - sums, squares.sum(0) - squares, n_rows - sizes)
    difference = np.abs(inside[0] - outside[0])
    spread = np.sqrt((inside[1] + outside[1]) / 2)
    largest: np.ndarray = np.divide(
        difference, spread, out=np.where(difference > 0, np.inf, 0.0), where=spread > 0
    ).max(axis=0)
    return largest


def select_k(features: sparse.csr_array | np.ndarray, classes: np.ndarray, k: int) -> np.ndarray:
    """Return ascending indices of the k features that separate the classes best; ties go to the lower index.

    Pass training rows only. All features are kept if there are fewer than k.
    """
    order = np.argsort(-class_separation(features, classes), kind="stable")
    return np.sort(order[:k])


def stack_rows(parts: Sequence[sparse.csr_array]) -> sparse.csr_array:
    """Stack features of consecutive shards into one matrix with ascending indices, 32-bit if they fit."""
    stacked = sparse.csr_array(sparse.vstack(list(parts), format="csr"))
    stacked.sort_indices()
    width = np.int32 if max(*stacked.shape, stacked.nnz) <= np.iinfo(np.int32).max else np.int64
    indices, indptr = stacked.indices.astype(width), stacked.indptr.astype(width)
    return sparse.csr_array((stacked.data, indices, indptr), shape=stacked.shape)


def _check_cover(codes: sparse.csr_array, offsets: np.ndarray) -> None:
    covers = len(offsets) > 0 and offsets[0] == 0 and offsets[-1] == codes.shape[0] and (np.diff(offsets) >= 0).all()
    if not covers:
        raise ValueError(f"offsets do not cover the {codes.shape[0]} positions of codes in order")


def _add_positions(weights: np.ndarray, codes: sparse.csr_array, offsets: np.ndarray) -> sparse.csr_array:
    """Weighted sum of each sample's positions; weights: [n_positions]."""
    shape = (len(offsets) - 1, codes.shape[0])
    pooling = sparse.csr_array((weights, np.arange(shape[1]), offsets), shape=shape)
    return _product(pooling, codes)


def _product(rows: sparse.csr_array, codes: sparse.csr_array) -> sparse.csr_array:
    product = sparse.csr_array(rows @ codes)
    product.sort_indices()
    return product


def _last_positions(codes: sparse.csr_array, offsets: np.ndarray) -> sparse.csr_array:
    n_samples = len(offsets) - 1
    filled = np.flatnonzero(np.diff(offsets))
    ones = np.ones(len(filled), dtype=np.float32)
    choose = sparse.csr_array((ones, (filled, offsets[filled + 1] - 1)), shape=(n_samples, codes.shape[0]))
    return _product(choose, codes)


def _largest(codes: sparse.csr_array, offsets: np.ndarray) -> sparse.csr_array:
    d_sae = codes.shape[1]
    sample = np.repeat(np.arange(len(offsets) - 1), np.diff(codes.indptr[offsets]))
    cell = sample.astype(np.int64) * d_sae + codes.indices
    order = np.argsort(cell, kind="stable")
    cell = cell[order]
    first = np.flatnonzero(np.diff(cell, prepend=-1))
    values = np.maximum.reduceat(codes.data[order], first) if len(first) else codes.data
    rows, columns = np.divmod(cell[first], d_sae)
    indptr = np.searchsorted(rows, np.arange(len(offsets)))
    return sparse.csr_array((values, columns.astype(np.int32), indptr), shape=(len(offsets) - 1, d_sae))


def _moments(sums: np.ndarray, squares: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance from sums and sums of squares over `sizes` rows."""
    mean = sums / sizes
    variance = squares / sizes - mean**2
    # Rounding leaves about 1e-16 of the mean square where the true variance is 0.
    return mean, np.where(variance > 1e-12 * squares / sizes, variance, 0.0)


def _dense(matrix: sparse.csr_array | np.ndarray) -> np.ndarray:
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()
