"""Which of a latent's active rows become contexts: by strength, at random, or equally many of each decile."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

N_QUANTILES = 10


def deciles(peaks: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return the decile of each peak by rank, int8 [n], 1 (weakest) to 10; equal peaks are ranked at random.

    peaks: [n], the largest activation of each row. Deciles differ in size by at most one.
    """
    order = np.lexsort((generator.permutation(len(peaks)), peaks))
    found = np.empty(len(peaks), dtype=np.int8)
    found[order] = np.arange(len(peaks)) * N_QUANTILES // max(len(peaks), 1) + 1
    return found


def share_out(n: int, first: int, second: int) -> tuple[int, int]:
    """Divide n rows between two sets that want `first` and `second`; if there are too few, each gets its half first."""
    n_first = min(first, max((n + 1) // 2, n - second))
    return n_first, min(second, n - n_first)


def equally(groups: np.ndarray, n: int, generator: np.random.Generator) -> np.ndarray:
    """Draw n items, equally many of each group as far as the groups last; groups: int [m]. Returns indices [<= n].

    Which groups have one more than others is random.
    """
    shuffled = generator.permutation(len(groups))
    names, number = np.unique(groups[shuffled], return_inverse=True)
    order = np.argsort(number, kind="stable")
    sizes = np.bincount(number, minlength=len(names))
    turn = np.empty(len(groups), dtype=np.int64)  # how many of its group come before an item
    turn[order] = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    rank = generator.permutation(len(names))[number]
    return shuffled[np.lexsort((rank, turn))[:n]]


def _top(peaks: np.ndarray, groups: np.ndarray, n: int, generator: np.random.Generator) -> np.ndarray:
    return np.lexsort((generator.permutation(len(peaks)), -peaks))[:n]


def _random(peaks: np.ndarray, groups: np.ndarray, n: int, generator: np.random.Generator) -> np.ndarray:
    return generator.permutation(len(peaks))[:n]


def _quantiles(peaks: np.ndarray, groups: np.ndarray, n: int, generator: np.random.Generator) -> np.ndarray:
    return equally(groups, n, generator)


Sampler = Callable[[np.ndarray, np.ndarray, int, np.random.Generator], np.ndarray]
"""(peaks [m], deciles [m], n, generator) -> indices of n rows."""
SAMPLERS: dict[str, Sampler] = {"top": _top, "quantiles": _quantiles, "random": _random}
"""Strategies of `sampling.explain_strategy`; a mixture draws in this order, each from what the others left."""


def mixed(
    peaks: np.ndarray, groups: np.ndarray, n: int, shares: Mapping[str, float], generator: np.random.Generator
) -> np.ndarray:
    """Draw n rows by a mixture of strategies. shares: strategy -> relative share. Returns distinct indices [<= n].

    peaks, groups: [m], largest activation and decile of each row. Raises ValueError for an unknown strategy.
    """
    unknown = sorted(set(shares) - set(SAMPLERS))
    if unknown or not shares:
        raise ValueError(f"unknown sampling strategy {unknown}; known: {', '.join(SAMPLERS)}")
    wanted = _whole_shares(min(n, len(peaks)), [shares.get(name, 0.0) for name in SAMPLERS])
    left = np.arange(len(peaks))
    chosen = [np.zeros(0, dtype=np.int64)]
    for sampler, count in zip(SAMPLERS.values(), wanted, strict=True):
        drawn = sampler(peaks[left], groups[left], count, generator)
        chosen.append(left[drawn])
        left = np.delete(left, drawn)
    return np.concatenate(chosen)


def _whole_shares(n: int, shares: list[float]) -> list[int]:
    """Divide n in proportion to the shares, by largest remainders."""
    exact = np.asarray(shares) * n / sum(shares)
    whole = np.floor(exact).astype(int)
    order = np.argsort(-(exact - whole), kind="stable")
    whole[order[: n - whole.sum()]] += 1
    return [int(count) for count in whole]
