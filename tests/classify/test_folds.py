"""Selection of classes, and cross-validation folds without leakage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saefari.classify.folds import make_folds, tied_rows, usable_classes
from saefari.errors import DataError


def test_small_classes_are_dropped_with_a_reason() -> None:
    train = ["a"] * 5 + ["b"] * 5 + ["few"] * 4 + ["untested"] * 9
    classes, dropped = usable_classes(train, ["a", "b", "few", "untrained"], 5)
    assert classes == ["a", "b"]
    assert dropped == {
        "few": "4 training rows for 5 folds",
        "untested": "no test row",
        "untrained": "no training row",
    }


def test_one_class_is_an_error_that_lists_dropped_classes() -> None:
    with pytest.raises(DataError, match=r"'few' \(1 training rows for 2 folds\)"):
        usable_classes(["a", "a", "few"], ["a"], 2)


def test_rows_are_tied_by_text_or_group_also_in_a_chain() -> None:
    ties = tied_rows(["x y", "x  y\n", "z", "w", None, "z"], [None, "g", None, "g", None, None])
    assert ties[0] == ties[1] == ties[3]
    assert ties[2] == ties[5] != ties[0]
    assert len(set(ties.tolist())) == 3


@given(st.lists(st.integers(0, 3), min_size=40, max_size=120), st.integers(2, 5), st.integers(0, 9))
def test_untied_folds_are_stratified(classes: list[int], n_folds: int, seed: int) -> None:
    folds = make_folds(np.array(classes), np.arange(len(classes)), n_folds, seed)
    for k in set(classes):
        counts = np.bincount(folds[np.array(classes) == k], minlength=n_folds)
        assert counts.max() - counts.min() <= 1
    totals = np.bincount(folds, minlength=n_folds)
    assert totals.max() - totals.min() <= len(set(classes))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 20)), min_size=30, max_size=80), st.integers(0, 9))
def test_tied_rows_share_a_fold(rows: list[tuple[int, int]], seed: int) -> None:
    classes, ties = np.array(rows).T
    folds = make_folds(classes, ties, 3, seed)
    for tie in set(ties.tolist()):
        assert len(set(folds[ties == tie].tolist())) == 1


def test_folds_depend_on_the_seed_only() -> None:
    classes = np.arange(60) % 3
    first, again, other = (make_folds(classes, np.arange(60), 5, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
