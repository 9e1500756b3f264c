"""Pareto front of two values to minimise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saefari.pareto import Point, on_front


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([], []),
        ([(1.0, 3.0), (2.0, 2.0), (3.0, 2.0), (2.0, 4.0)], [True, True, False, False]),
        ([(1.0, 1.0), (1.0, 1.0)], [True, True]),
        ([(1.0, 2.0), (1.0, 1.0)], [False, True]),
        ([(None, 0.0), (1.0, None), (5.0, 5.0)], [False, False, True]),
    ],
)
def test_on_front_of_known_points(points: list[Point], expected: list[bool]) -> None:
    assert on_front(points) == expected


@given(st.lists(st.tuples(*[st.integers(0, 5).map(float)] * 2)))
def test_on_front_matches_a_pairwise_comparison(points: list[tuple[float, float]]) -> None:
    dominated = [any(a <= x and b <= y and (a, b) != (x, y) for a, b in points) for x, y in points]
    assert on_front(points) == [not one for one in dominated]
