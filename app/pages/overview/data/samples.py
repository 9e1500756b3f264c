"""Example rows of a result: right and wrong ones, from the surest to the least sure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.shared.data.samples.rows import ResultRows

_ROLES = ("the surest", "the median", "the least sure")


@dataclass(frozen=True)
class Example:
    """A test row. place: its index among the test rows. role: why it was chosen."""

    place: int
    role: str


def example_rows(rows: ResultRows, right: bool) -> list[Example]:
    """The right (or wrong) row with the highest, the median and the lowest probability of its predicted class.

    Fewer if there are fewer. Of equally probable rows, the first is chosen.
    """
    places = np.flatnonzero(rows.right == right)
    ordered = places[np.argsort(-rows.confidence[places], kind="stable")]
    if not len(ordered):
        return []
    chosen = dict(zip((0, len(ordered) // 2, len(ordered) - 1), _ROLES, strict=True))
    return [Example(int(ordered[i]), role) for i, role in sorted(chosen.items())]
