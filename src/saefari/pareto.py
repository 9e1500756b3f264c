"""Pareto front of points with two values to minimise."""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float | None, float | None]


def on_front(points: Sequence[Point]) -> list[bool]:
    """Return, for each point, whether it is on the Pareto front.

    A point is on the front unless another one is at most as large in both values and smaller in one. Points with a
    missing value are not on it; equal points are treated alike.
    """
    known = {(x, y) for x, y in points if x is not None and y is not None}
    front = set()
    lowest = float("inf")
    for x, y in sorted(known):
        if y < lowest:
            front.add((x, y))
            lowest = y
    return [point in front for point in points]
