"""SAE quality: all measurements of reconstruction in the tree, and densities of latents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from app.shared.data.codes import CodeSet
from app.shared.data.latents.firing import densities as densities_of_codes
from app.shared.data.saes import Sae
from app.shared.labels import sae_title
from saefari.errors import StoreError
from saefari.store import density_gap, finite_number, read_density

HELD_OUT = "held-out training rows"
RANDOM = "random control"
_FIGURES = ("fvu", "explained_variance", "l0", "dead_fraction", "n_positions", "mse", "l1", "dense_fraction", "cosine")


@dataclass(frozen=True)
class Measurement:
    """Reconstruction quality of an SAE over one set of positions; None for a value that is not recorded.

    dataset: `<dataset>[/<config>]/<split>`, or HELD_OUT for the positions held out of its training.
    """

    dataset: str
    fvu: float | None
    explained_variance: float | None
    l0: float | None
    dead_fraction: float | None
    n_positions: float | None
    mse: float | None = None
    l1: float | None = None
    dense_fraction: float | None = None
    cosine: float | None = None
    ultra_low_density: float | None = None
    loss_recovered: float | None = None


@dataclass(frozen=True)
class Density:
    """How often latents are active in one dataset. active: int64 [d_sae], number of active positions of n_positions.

    gap: log10 densities that bound the gap above the ultra-low-density latents; None without a gap.
    """

    dataset: str
    active: np.ndarray
    n_positions: int
    gap: tuple[float, float] | None = None


def measurements(sae: Sae) -> list[Measurement]:
    """The held-out measurement of an SAE trained in this tree, then one per code set."""
    records: list[tuple[str, Any]] = [] if sae.quality is None else [(HELD_OUT, sae.quality)]
    records += [(one.dataset, one.manifest.stats) for one in sae.code_sets if one.manifest.stats]
    return [_measurement(dataset, record) for dataset, record in records]


def main_measurement(sae: Sae) -> Measurement | None:
    """The most reliable measurement: held out if the SAE was trained here, else over its largest code set."""
    measured = measurements(sae)
    return measured[0] if sae.quality else max(measured, key=lambda one: one.n_positions or 0, default=None)


def origin(sae: Sae) -> str:
    """Describe where an SAE comes from."""
    if sae.folder is not None:
        return "trained here"
    facts = [_facts(one) for one in sae.code_sets]
    if any(one.get("random") for one in facts):
        return RANDOM
    if any(one.get("release") for one in facts):
        return "released"
    return "from a folder" if facts else "unknown"


def architecture(sae: Sae) -> str:
    """The architecture it was trained with. (A BatchTopK SAE encodes as JumpReLU, which its codes record.)"""
    trained = (sae.quality or {}).get("settings")
    if isinstance(trained, dict) and trained.get("architecture"):
        return str(trained["architecture"])
    return next((str(name) for one in sae.code_sets if (name := _facts(one).get("architecture"))), "")


def n_latents(sae: Sae) -> int | None:
    """Number of latents, from the codes or else from the training settings."""
    trained = (sae.quality or {}).get("settings")
    found = [finite_number(_facts(one), "d_sae") for one in sae.code_sets] + [finite_number(trained, "d_sae")]
    return next((int(one) for one in found if one is not None), None)


def quality_rows(saes: Iterable[Sae]) -> list[dict[str, Any]]:
    """One row per SAE and measurement; one empty row for an SAE without measurements."""
    unmeasured = Measurement("", None, None, None, None, None)
    return [
        {
            "sae": sae.id,
            "title": sae_title(sae),
            "model": sae.model,
            "layer": sae.layer,
            "width": sae.width,
            "architecture": architecture(sae),
            "d_sae": n_latents(sae),
            "origin": origin(sae),
            **asdict(measured),
        }
        for sae in saes
        for measured in measurements(sae) or [unmeasured]
    ]


def densities(sae: Sae) -> tuple[list[Density], list[str]]:
    """Densities of latents per measurement, and error messages for those that cannot be read."""
    found, problems = [], []
    if sae.folder is not None:
        try:
            density = read_density(sae.folder)
            found.append(Density(HELD_OUT, density.counts, density.n_positions, density_gap(sae.quality)))
        except StoreError as error:
            problems.append(str(error))
    for one in sae.code_sets:
        try:
            found.append(_density_of_codes(one))
        except StoreError as error:
            problems.append(str(error))
    width = n_latents(sae)
    return [one for one in found if one.n_positions and width in (None, len(one.active))], problems


def settings_rows(sae: Sae) -> list[dict[str, str]]:
    """Training settings and the facts recorded with its codes, one row per setting."""
    quality = sae.quality or {}
    records: dict[str, Any] = {name: quality[name] for name in ("settings", "training") if name in quality}
    if sae.code_sets:
        records["as loaded"] = _facts(sae.code_sets[0])
    return [
        {"part": part, "setting": name, "value": value}
        for part, record in records.items()
        for name, value in _leaves(record)
    ]


def warnings_of(sae: Sae) -> list[str]:
    """Warnings of its code sets, prefixed by the dataset."""
    return [f"{one.dataset}: {warning}" for one in sae.code_sets for warning in one.manifest.warnings]


def _density_of_codes(codes: CodeSet) -> Density:
    counted = densities_of_codes(codes)
    return Density(codes.dataset, counted.counts, counted.n_positions)


def _measurement(dataset: str, record: Any) -> Measurement:
    return Measurement(
        dataset,
        **{name: finite_number(record, name) for name in _FIGURES},
        ultra_low_density=finite_number(record, "ultra_low_density", "share"),
        loss_recovered=finite_number(record, "cross_entropy", "recovered"),
    )


def _facts(codes: CodeSet) -> dict[str, Any]:
    facts = codes.manifest.facts
    return facts if isinstance(facts, dict) else {}


def _leaves(record: Any, path: str = "") -> list[tuple[str, str]]:
    """(dotted name, value as text) of every leaf of a record that is not None."""
    if isinstance(record, dict):
        return [leaf for name, value in record.items() for leaf in _leaves(value, f"{path}.{name}" if path else name)]
    return [] if record is None else [(path, str(record))]
