"""What is warned of an SAE's reconstruction: the limits, on both sides of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from saefari.extract.job import Cell
from saefari.extract.outputs import Output, inspect_all
from saefari.extract.sae_bank import finish_codes, quality_warnings
from saefari.saes.quality import Quality
from saefari.saes.ref import SaeRef

CATALOGUE: dict[str, Any] = {"release": "r", "sae_id": "s", "expected_variance_explained": 0.8}
FOLDER: dict[str, Any] = {"path": "/home/someone/sae"}
ASSUMED = FOLDER | {"hook": "blocks.1.hook_resid_post", "hook_is_assumed": True}


@pytest.mark.parametrize(
    ("ref", "trained", "found", "warned"),
    [
        (CATALOGUE, False, 0.59, True),  # more than 0.2 below what the catalogue says
        (CATALOGUE, False, 0.61, False),
        (CATALOGUE | {"expected_variance_explained": None}, False, 0.1, False),
        (CATALOGUE, False, None, False),  # nothing was measured
        (FOLDER, False, -0.01, True),
        (FOLDER, False, 0.01, False),
        (FOLDER, True, -0.01, True),
        (ASSUMED, False, -1, True),
        (ASSUMED, False, 0.49, True),
        (ASSUMED, False, 0.51, False),
    ],
)
def test_little_explained_variance_is_warned_of(
    ref: dict[str, Any], trained: bool, found: float | None, warned: bool
) -> None:
    cell = Cell(SaeRef(1, "64", **ref), trained=trained)
    warnings = quality_warnings(cell, {"explained_variance": found})
    assert len(warnings) == warned
    assert all(f"{found:.3f}" in one and "/home" not in one for one in warnings)
    assert all(("n_positions" in one) == trained for one in warnings)
    assert all(("settings.sae_location" in one) == cell.ref.hook_is_assumed for one in warnings)


@pytest.mark.parametrize("random", [False, True])
def test_figures_and_warnings_are_kept_once_all_shards_are_there(tmp_path: Path, random: bool) -> None:
    """Two shards whose reconstructions are worse than the mean; a random control may be."""
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    parts = [Quality.compare(half, -half, np.array([n, 0])) for n, half in ((3, x[:8]), (9, x[8:]))]
    output, cell = Output("codes", tmp_path, {}, 4), Cell(SaeRef(1, "64", **FOLDER), random)
    ranges = [(0, 2), (2, 4)]
    inspect_all([output], ranges, overwrite=False)
    for index, part in enumerate(parts):
        finish_codes(output, cell)
        assert not output.manifest.stats, "not before the last shard"
        output.write(index, ranges[index], {f"stat_{name}": value for name, value in part.to_arrays().items()})
    finish_codes(output, cell)
    whole = Quality.compare(x, -x, np.array([12, 0])).summary()
    assert output.manifest.stats == pytest.approx(whole)
    assert whole["explained_variance"] is not None
    assert whole["explained_variance"] < 0
    assert len(output.manifest.warnings) == (not random)
