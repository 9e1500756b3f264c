"""Which of several compromises are worth considering."""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float | None, float | None]


def on_front(points: Sequence[Point]) -> list[bool]:
    """Whether each point is on the Pareto front: no other is as low in both of its numbers, and lower in one.

    A point that lacks a number is not on it; equal points are all on it, or none.
    """
    known = {(x, y) for x, y in points if x is not None and y is not None}
    front = set()
    lowest = float("inf")
    for x, y in sorted(known):
        if y < lowest:
            front.add((x, y))
            lowest = y
    return [point in front for point in points]
