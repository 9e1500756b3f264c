"""How many rows of a split are frozen."""

from __future__ import annotations

from typing import Any

import pytest

from saefari.config import Settings
from saefari.extract.frozen_rows import rows_wanted


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        ({}, None),
        ({"max_samples": 50}, 50),
        ({"max_batches": 3, "batch_size": 8}, 24),
        ({"max_samples": 50, "max_batches": 3, "batch_size": 8}, 24),
        ({"max_samples": 20, "max_batches": 3, "batch_size": 8}, 20),
        ({"batch_size": 8}, None),
    ],
)
def test_the_smaller_of_all_limits_counts(limits: dict[str, Any], wanted: int | None) -> None:
    assert rows_wanted(Settings(**limits)) == wanted
