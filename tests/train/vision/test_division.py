"""Division into training, validation and test rows; equal images and groups are in one part."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saefari.data.splits import split_rows
from saefari.errors import DataError
from saefari.train.vision.decoded_images import DecodedImages
from saefari.train.vision.division import UNKNOWN, Division, divide

PARTS = ("train", "validation", "test")


def images_of(rows: list[tuple[str | None, int | None, str | None]]) -> DecodedImages:
    """Build DecodedImages from (label, image, group); None = no image."""
    digests = [None if image is None else f"{image:064x}"[::-1] for _, image, _ in rows]
    columns: dict[str, Any] = {
        "row": list(range(len(rows))),
        "label": [label for label, _, _ in rows],
        "group": pa.array([group for _, _, group in rows], pa.string()),
        "pixels": pa.array(digests, pa.string()),
    }
    return DecodedImages(np.zeros((len(rows), 2, 2, 3), np.uint8), pa.table(columns))


def used(data: Division) -> dict[str, set[int]]:
    return {name: set(getattr(data, name).rows.tolist()) for name in PARTS}


ROWS = [("ab"[i % 2], i, None) for i in range(60)]


def test_test_rows_equal_those_of_extraction() -> None:
    """Extraction splits by label, image and group; a row without an image is treated as unlabelled."""
    rows = [*ROWS, ("a", None, None), (None, 99, None), ("b", 1, None)]
    data = divide(images_of(rows), None, 0.25, 0.1, 7, "x")
    labels = [None if image is None else label for label, image, _ in rows]
    keys = np.asarray([image or 0 for _, image, _ in rows], dtype=np.uint64)
    expected = split_rows(labels, keys, [None] * len(rows), 0.25, 7)
    found = used(data)
    assert found["test"] == set(np.flatnonzero(expected == 1).tolist())
    assert found["train"] | found["validation"] == set(np.flatnonzero(expected == 0).tolist())
    assert data.warnings == ["x: 2 rows left out: no image, no label, or shared with a test row"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30), st.sampled_from([None, "g", "h"])), max_size=25))
def test_no_image_or_group_is_in_two_parts(more: list[tuple[str, int, str | None]]) -> None:
    rows = [(label, image + 100, group) for label, image, group in more]
    all_rows = [*ROWS, *rows]
    found = used(divide(images_of(all_rows), None, 0.2, 0.2, 0, "x"))
    for one, other in ((0, 1), (0, 2), (1, 2)):
        for value in (1, 2):
            sides = [{all_rows[row][value] for row in found[PARTS[side]]} - {None} for side in (one, other)]
            assert not sides[0] & sides[1]
    assert all(found.values())


def test_a_separate_test_split() -> None:
    test = images_of([("a", 500, None), ("b", 3, None), ("new", 501, "g"), (None, 502, None)])
    rows = [*ROWS, ("a", 600, "g")]
    data = divide(images_of(rows), test, 0.2, 0.1, 0, "x")
    found = used(data)
    assert found["test"] == {0, 1, 2}
    assert found["train"] | found["validation"] == set(range(60)) - {3}, "3 is a test image, 60 in a test row's group"
    assert data.classes == ["a", "b"]
    assert data.test.targets.tolist() == [0, 1, UNKNOWN]
    assert any("1 test images have a label that no training image has" in warning for warning in data.warnings)
    parts = list(zip(data.table["split"].to_pylist(), data.table["part"].to_pylist(), strict=True))
    assert parts[3] == parts[60] == ("split", "excluded")
    assert parts[61:] == [("test_split", part) for part in ("test", "test", "test", "excluded")]


def test_the_digest_covers_training_and_validation_images() -> None:
    digest = divide(images_of(ROWS), None, 0.2, 0.1, 0, "x").digest
    assert divide(images_of(ROWS), None, 0.2, 0.3, 0, "x").digest == digest, "validation rows count too"
    assert divide(images_of(ROWS), None, 0.3, 0.1, 0, "x").digest != digest


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a", i, None) for i in range(20)], "all training images have the label 'a'"),
        ([(None, i, None) for i in range(20)], "no row of 20"),
    ],
)
def test_unusable_rows_are_an_error(rows: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        divide(images_of(rows), None, 0.2, 0.1, 0, "x")
