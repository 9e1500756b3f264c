"""Folders of trained SAEs: search, records of all versions, and damaged files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saefari.errors import StoreError
from saefari.store import (
    Layout,
    density_gap,
    find_trained,
    finite_number,
    iter_trained,
    read_density,
    read_trained,
    training_curves,
    write_json,
)


def write_record(saes: Path, place: str, record: Any = None) -> Path:
    write_json(saes / place / "quality.json", {"fvu": 0.2} if record is None else record)
    return saes / place


def test_saes_are_listed_in_a_fixed_order_without_unfinished_ones(tmp_path: Path) -> None:
    saes = Layout.below(tmp_path).saes
    for place in ("m/layer_3/b", "m/layer_12/a", "m/layer_3/a", "m/layer_3/.c.partial", "m/.checkpoint-1/layer_3/a"):
        write_record(saes, place)
    found = list(iter_trained(saes))
    assert [(sae.model, sae.layer, sae.name) for sae in found] == [("m", 12, "a"), ("m", 3, "a"), ("m", 3, "b")]
    assert found[1].folder == Layout.below(tmp_path).sae("m", 3, "a")
    assert found[1].record == {"fvu": 0.2}
    assert list(iter_trained(tmp_path / "nowhere")) == []


@pytest.mark.parametrize(
    ("place", "record"), [("m/layer_3", None), ("m/layer_x/a", None), ("m/3/a", None), ("m/layer_3/a", [1])]
)
def test_invalid_sae_is_an_error_and_is_skipped_by_iter_trained(tmp_path: Path, place: str, record: Any) -> None:
    write_record(tmp_path, place, record)
    write_record(tmp_path, "m/layer_4/good")
    bad = next(file for file in find_trained(tmp_path) if file.relative == place)
    with pytest.raises(StoreError, match=f"{place}/quality.json"):
        read_trained(bad)
    assert [sae.name for sae in iter_trained(tmp_path)] == ["good"]


def test_density_with_and_without_stored_log10(tmp_path: Path) -> None:
    counts = np.array([0, 10, 100])
    np.savez(tmp_path / "density.npz", counts=counts, n_positions=100)
    computed = read_density(tmp_path)
    assert (computed.counts.tolist(), computed.n_positions) == ([0, 10, 100], 100)
    np.testing.assert_allclose(computed.log10, [-np.inf, -1, 0])
    stored = np.array([-np.inf, -1.5, -0.5], dtype=np.float32)
    np.savez(tmp_path / "density.npz", counts=counts, n_positions=100, log10_density=stored)
    np.testing.assert_array_equal(read_density(tmp_path).log10, stored)


@pytest.mark.parametrize(
    "arrays",
    [
        {"counts": np.zeros(3)},
        {"counts": np.zeros(3), "n_positions": 5, "log10_density": np.zeros(4)},
        {"counts": np.zeros((3, 1)), "n_positions": 5},
    ],
)
def test_density_of_invalid_shape_is_an_error(tmp_path: Path, arrays: dict[str, Any]) -> None:
    np.savez(tmp_path / "density.npz", **arrays)
    with pytest.raises(StoreError, match=r"density\.npz is damaged.*train it again"):
        read_density(tmp_path)


def test_missing_and_damaged_density_are_errors(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"density\.npz does not exist"):
        read_density(tmp_path)
    (tmp_path / "density.npz").write_bytes(b"PK\x03\x04broken")
    with pytest.raises(StoreError, match="damaged"):
        read_density(tmp_path)


@pytest.mark.parametrize("value", [None, True, "0.2", math.nan, math.inf, [0.2]])
def test_finite_number_is_none_for_other_values(value: Any) -> None:
    assert finite_number({"a": {"b": value}}, "a", "b") is None
    assert finite_number({"a": {"b": 2}}, "a", "b") == 2.0
    assert finite_number(value, "a") is None


@pytest.mark.parametrize("gap", [None, [], [1.0], ["a", "b"], [None, 1.0], 3])
def test_density_gap_is_none_for_other_values(gap: Any) -> None:
    assert density_gap({"ultra_low_density": {"share": 0.0, "gap": gap}}) is None
    assert density_gap({}) is None
    assert density_gap({"ultra_low_density": {"share": 0.1, "gap": [-4.5, -4]}}) == (-4.5, -4.0)


def test_training_curves_keep_only_curves_as_long_as_positions() -> None:
    record = {"positions": [1, 2], "fvu": [0.9, None], "l0": [3.0], "dead": "none"}
    curves = training_curves({"curves": record})
    assert curves is not None
    assert list(curves) == ["positions", "fvu"]
    np.testing.assert_array_equal(curves["fvu"], [0.9, np.nan])
    assert training_curves({"curves": {"positions": [], "fvu": []}}) is None
    assert training_curves({"curves": None}) is None
    assert training_curves([]) is None
