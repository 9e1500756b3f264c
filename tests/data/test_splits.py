from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from saefari.data import sample_rows, separate_test, split_rows, text_key
from saefari.data.splits import count_tied, exact_key
from saefari.errors import DataError


def keys_of(texts: list[str]) -> np.ndarray:
    return np.array([text_key(text) for text in texts], dtype=np.uint64)


rows = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", None]), st.integers(0, 60), st.none() | st.integers(0, 30)),
    min_size=2,
    max_size=120,
)
sizes = st.floats(0.05, 0.95)
seeds = st.integers(0, 5)


@given(rows, sizes, seeds)
def test_equal_texts_and_groups_are_on_one_side(table, test_size, seed):
    labels = [label for label, _, _ in table]
    texts = [str(text) for _, text, _ in table]
    groups = [None if group is None else str(group) for _, _, group in table]
    try:
        sides = split_rows(labels, keys_of(texts), groups, test_size, seed)
    except DataError:
        assume(False)
    assert sides.dtype == np.int8
    assert [side == -1 for side in sides] == [label is None for label in labels]
    train = [row for row, side in enumerate(sides) if side == 0]
    test = [row for row, side in enumerate(sides) if side == 1]
    assert train
    assert test
    assert {texts[row] for row in train}.isdisjoint(texts[row] for row in test)
    assert ({groups[row] for row in train} - {None}).isdisjoint(groups[row] for row in test)


@given(st.lists(st.integers(5, 60), min_size=1, max_size=6), sizes, seeds)
def test_each_class_has_its_share(class_sizes, test_size, seed):
    labels = [str(label) for label, size in enumerate(class_sizes) for _ in range(size)]
    sides = split_rows(labels, np.arange(len(labels), dtype=np.uint64), [None] * len(labels), test_size, seed)
    for label, size in enumerate(class_sizes):
        n_test = sum(side == 1 for side, name in zip(sides, labels, strict=True) if name == str(label))
        assert abs(n_test - test_size * size) <= 1


@pytest.mark.parametrize(
    ("class_sizes", "unit", "expected"),
    [
        ([7, 8, 12, 33], 1, [1, 2, 2, 7]),  # 1.4, 1.6, 2.4 and 6.6 rows
        ([30, 24], 3, [6, 6]),  # 6 and 4.8 rows
        ([9, 99], 3, [3, 21]),  # 1.8 and 19.8 rows
    ],
)
def test_the_share_is_the_nearest_that_whole_units_allow(class_sizes: list[int], unit: int, expected: list[int]):
    labels = [str(label) for label, size in enumerate(class_sizes) for _ in range(size)]
    groups = [f"{label} {row // unit}" for label, size in enumerate(class_sizes) for row in range(size)]
    for seed in range(5):
        sides = split_rows(labels, np.arange(len(labels), dtype=np.uint64), groups, 0.2, seed)
        found = Counter(label for label, side in zip(labels, sides, strict=True) if side == 1)
        assert [found[str(label)] for label in range(len(class_sizes))] == expected


def test_each_class_has_its_share_with_groups():
    rng = np.random.default_rng(0)
    labels = [str(label) for label in rng.integers(0, 4, 4000)]
    groups = [str(group) for group in rng.integers(0, 500, 4000)]
    sides = split_rows(labels, np.arange(4000, dtype=np.uint64), groups, 0.2, 0)
    counts = Counter(zip(labels, sides.tolist(), strict=True))
    for label in "0123":
        assert counts[label, 1] / (counts[label, 0] + counts[label, 1]) == pytest.approx(0.2, abs=0.02)


def test_rows_connected_through_others_are_on_one_side():
    texts = ["x", "x", "y", "y", *map(str, range(20))]
    groups = [None, "g", "g", None, *[None] * 20]
    labels = ["a", "b"] * 12
    for seed in range(30):
        sides = split_rows(labels, keys_of(texts), groups, 0.5, seed)
        assert len(set(sides[:4].tolist())) == 1


def test_unlabelled_row_does_not_connect_others():
    groups = ["g", "g", "h", "h"]
    texts = ["1", "bridge", "bridge", "4"]
    labels = ["a", None, None, "a"]
    assert sorted(split_rows(labels, keys_of(texts), groups, 0.5, 0).tolist()) == [-1, -1, 0, 1]


def test_duplicated_texts_are_equally_frequent_in_the_test_set():
    texts = [str(row // 2) if row < 400 else str(row) for row in range(2000)]
    shares = []
    for seed in range(10):
        sides = split_rows(["a"] * 2000, keys_of(texts), [None] * 2000, 0.2, seed)
        shares.append(float(np.mean(sides[:400] == 1)))
    assert np.mean(shares) == pytest.approx(0.2, abs=0.03)


def test_split_depends_on_the_seed():
    labels, keys, groups = ["a", "b"] * 100, np.arange(200, dtype=np.uint64), [None] * 200
    first, again, other = (split_rows(labels, keys, groups, 0.3, seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_one_unit_cannot_be_split():
    with pytest.raises(DataError, match="3 labelled rows cannot be split"):
        split_rows(["a", "b", "a"], keys_of(["x", "y", "z"]), ["g"] * 3, 0.2, 0)


def test_rows_without_labels_are_an_error():
    with pytest.raises(DataError, match="no row of 3 has both a text and a label"):
        split_rows([None] * 3, keys_of(["x", "y", "z"]), [None] * 3, 0.2, 0)


@given(rows, rows)
def test_training_rows_equal_to_a_test_row_are_dropped(train, test):
    train_texts, test_texts = ([str(text) for _, text, _ in table] for table in (train, test))
    train_groups, test_groups = ([None if g is None else str(g) for _, _, g in table] for table in (train, test))
    drop = separate_test(keys_of(train_texts), train_groups, keys_of(test_texts), test_groups)
    expected = [
        text in test_texts or (group is not None and group in test_groups)
        for text, group in zip(train_texts, train_groups, strict=True)
    ]
    assert drop.dtype == bool
    assert drop.tolist() == expected


def test_text_keys_are_stable_and_equal_for_near_duplicates():
    assert text_key("  Two\n words!\t") == text_key("two words")
    assert text_key("two words") != text_key("two other words")
    assert 0 <= text_key("") < 2**64
    assert text_key("two words") == 0xBC2B39318FF419A6
    assert exact_key("  two\n words\t") == exact_key("two words") != exact_key("Two words")


def test_repeated_texts_and_near_duplicates_are_counted_separately():
    texts = ["Yes!", "yes", "yes", "no", "no", "maybe"]
    exact = np.array([exact_key(text) for text in texts], dtype=np.uint64)
    assert count_tied(exact, keys_of(texts)) == {"equal": 4, "near": 3}
    assert count_tied(exact[:0], exact[:0]) == {"equal": 0, "near": 0}


def test_sample_rows_is_uniform_sorted_and_seeded():
    sample = sample_rows(10_000, 500, seed=3)
    assert len(set(sample.tolist())) == 500
    assert (np.diff(sample) > 0).all()
    assert sample.mean() == pytest.approx(5000, rel=0.1)
    assert (sample == sample_rows(10_000, 500, seed=3)).all()
    assert (sample != sample_rows(10_000, 500, seed=4)).any()
    assert sample_rows(5, None, 0).tolist() == sample_rows(5, 9, 0).tolist() == [0, 1, 2, 3, 4]
