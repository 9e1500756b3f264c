"""Windows, deciles and samplers: properties for any rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saefari.interp.contexts.sampling import deciles, equally, mixed, share_out
from saefari.interp.contexts.windows import Windows

SIZES = st.none() | st.integers(1, 12)


@given(size=SIZES, centred=st.booleans(), length=st.integers(1, 40), data=st.data())
def test_a_window_shows_its_position(size: int | None, centred: bool, length: int, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, length - 1))
    windows = Windows(size, centred)
    start, stop = windows.around(position, length)
    assert 0 <= start <= position < stop <= length
    assert start in windows.starts(length)
    if size is None:
        assert (start, stop) == (0, length)
    elif centred:
        assert stop - start == min(size, length)
        left, right = position - start, stop - 1 - position
        if start > 0 and stop < length:
            assert left - right in (0, 1)
    else:
        assert start % size == 0
        assert stop == min(start + size, length)


@given(size=SIZES, centred=st.booleans(), length=st.integers(0, 40), data=st.data())
def test_inactive_windows_are_those_without_an_active_position(
    size: int | None, centred: bool, length: int, data: st.DataObject
) -> None:
    active = sorted(data.draw(st.sets(st.integers(0, max(length - 1, 0)), max_size=length)))
    windows = Windows(size, centred)
    found = windows.inactive(length, active)
    if size is None:
        every = [(0, length)] if length else []
    elif centred:
        every = [(s, min(s + size, length)) for s in range(max(length - size, 0) + 1)] if length else []
    else:
        every = [(s, min(s + size, length)) for s in range(0, length, size)]
    assert found.tolist() == [[a, b] for a, b in every if not any(a <= place < b for place in active)]
    if length:
        start, stop = windows.any(length, np.random.default_rng(0))
        assert (start, stop) in every


@given(peaks=st.lists(st.sampled_from([0.5, 1.0, 1.5, 2.0, 7.0]) | st.floats(0.1, 100), max_size=60))
def test_deciles_are_equal_parts_by_rank(peaks: list[float]) -> None:
    values = np.asarray(peaks, dtype=np.float32)
    groups = deciles(values, np.random.default_rng(0))
    n = len(values)
    sizes = np.bincount(groups, minlength=11)[1:]
    assert sizes.sum() == n
    assert sizes.max(initial=0) - sizes.min(initial=n) <= 1
    for low in range(1, 10):
        weaker, stronger = values[groups <= low], values[groups > low]
        if len(weaker) and len(stronger):
            assert weaker.max() <= stronger.min()
    if n >= 10:
        expected = np.argsort(np.argsort(values, kind="stable"), kind="stable") * 10 // n + 1
        distinct = len(set(values.tolist())) == n
        assert not distinct or groups.tolist() == expected.tolist()


@given(n=st.integers(0, 300), first=st.integers(0, 120), second=st.integers(0, 120))
def test_two_sets_share_what_there_is(n: int, first: int, second: int) -> None:
    a, b = share_out(n, first, second)
    assert 0 <= a <= first
    assert 0 <= b <= second
    assert a + b == min(n, first + second)
    assert a >= min(first, n // 2)
    assert b >= min(second, n // 2)


@given(groups=st.lists(st.integers(1, 10), max_size=80), n=st.integers(0, 90), seed=st.integers(0, 5))
def test_groups_are_drawn_equally_as_far_as_they_last(groups: list[int], n: int, seed: int) -> None:
    values = np.asarray(groups, dtype=np.int8)
    drawn = equally(values, n, np.random.default_rng(seed))
    assert len(drawn) == len(set(drawn.tolist())) == min(n, len(values))
    taken = np.bincount(values[drawn], minlength=11)
    available = np.bincount(values, minlength=11)
    not_exhausted = taken[taken < available]
    assert (taken.max(initial=0) - not_exhausted).max(initial=0) <= 1


def test_which_rows_of_a_group_are_drawn_is_random() -> None:
    groups = np.repeat(np.arange(1, 11), 20)
    counts = np.zeros(200)
    for seed in range(300):
        counts[equally(groups, 55, np.random.default_rng(seed))] += 1
    assert counts.sum() == 55 * 300
    assert counts.min() > 40  # expectation 82.5
    assert counts.max() < 130


SHARES = st.dictionaries(st.sampled_from(["top", "random", "quantiles"]), st.floats(0.01, 10), min_size=1)


@given(m=st.integers(0, 60), n=st.integers(0, 70), shares=SHARES)
def test_a_mixture_draws_distinct_rows(m: int, n: int, shares: dict[str, float]) -> None:
    generator = np.random.default_rng(3)
    peaks = generator.random(m)
    groups = deciles(peaks, generator)
    drawn = mixed(peaks, groups, n, shares, np.random.default_rng(1))
    assert len(drawn) == len(set(drawn.tolist())) == min(n, m)
    assert drawn.tolist() == mixed(peaks, groups, n, shares, np.random.default_rng(1)).tolist()


def test_shares_of_a_mixture() -> None:
    generator = np.random.default_rng(0)
    peaks = generator.random(1000)
    groups = deciles(peaks, generator)
    strongest = set(np.argsort(-peaks)[:30].tolist())
    drawn = mixed(peaks, groups, 40, {"quantiles": 1, "top": 3}, generator)
    assert strongest <= set(drawn.tolist())
    rest = [i for i in drawn.tolist() if i not in strongest]
    assert sorted(groups[rest].tolist()) == list(range(1, 11))
    assert set(mixed(peaks, groups, 30, {"top": 1}, generator).tolist()) == strongest
    assert abs(groups[mixed(peaks, groups, 500, {"random": 1}, generator)].mean() - 5.5) < 0.5


def test_an_unknown_strategy_is_an_error() -> None:
    with pytest.raises(ValueError, match="best"):
        mixed(np.ones(3), np.ones(3), 2, {"best": 1.0}, np.random.default_rng(0))
