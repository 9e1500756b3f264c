"""Tables that compare trained SAEs: reconstruction quality, and scores of classifiers on their codes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from saefari.config import SaeTraining
from saefari.pareto import on_front
from saefari.report.results.summary import Row
from saefari.store import TASK, TrainedSae, finite_number, task_name

_KEY = ("model", "layer", "name")
_OPTIONS = ("k", "target_l0", "l1_coefficient", "l0_coefficient", "lr")
_MEASURED = (
    "fvu", "explained_variance", "mse", "l0", "l1", "dead_fraction", "dense_fraction", "cosine",
)  # fmt: skip
SAE_COLUMNS = (
    *_KEY, "architecture", "d_sae", *_OPTIONS, "n_positions", *_MEASURED, "ultra_low_density", "loss_recovered",
    "n_held_out", "on_front",
)  # fmt: skip
_SETTING = ("pooling", "top_n", "binarize", "select_k", "classifier")
_SCORE = ("cv_macro_f1", "macro_f1", "macro_f1_low", "macro_f1_high", "caution")
SCORE_COLUMNS = (
    *TASK, *_KEY, "architecture", "d_sae", "l0", "fvu", "on_front", *_SETTING, *_SCORE, "folder",
)  # fmt: skip


def task_of(row: Row) -> str:
    """Format the task of a result row as `<dataset>[/<config>]/<split>[ (<text_field>)]`."""
    return task_name(tuple(row[name] for name in TASK))


def sae_rows(saes: Iterable[TrainedSae]) -> list[Row]:
    """Return one row of SAE_COLUMNS per SAE; None for values missing from quality.json.

    n_positions: of training; n_held_out: of the measurement. on_front: `yes` for SAEs on the Pareto front of L0 and
    FVU of their model and layer.
    """
    rows = [_sae_row(sae) for sae in saes]
    groups: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["model"], row["layer"]), []).append(row)
    for group in groups.values():
        for row, best in zip(group, on_front([(row["l0"], row["fvu"]) for row in group]), strict=True):
            row["on_front"] = "yes" if best else "no"
    return rows


def score_rows(saes: Sequence[Row], summary: Iterable[Row]) -> list[Row]:
    """Return one row of SCORE_COLUMNS per dataset and SAE: its best setting and classifier, with test scores.

    The best is chosen by cross-validation on training rows. saes: of `sae_rows`. summary: rows of summary.csv; those
    of other features, or without cross-validation, are ignored. Sorted by dataset, then best cross-validation first.
    """
    by_key = {tuple(row[name] for name in _KEY): row for row in saes}
    best: dict[tuple[str, ...], Row] = {}
    for row in summary:
        parts = row["folder"].split("/")
        sae = by_key.get((parts[0], row["layer"], row["width"]))
        if row["source"] != "sae" or sae is None or row["cv_macro_f1"] is None:
            continue
        group = (*(row[name] for name in TASK), *map(str, (sae[name] for name in _KEY)))
        if group not in best or row["cv_macro_f1"] > best[group]["cv_macro_f1"]:
            best[group] = {name: (sae | row | {"model": sae["model"]})[name] for name in SCORE_COLUMNS}
    order = sorted(best.values(), key=lambda row: (*(row[name] for name in _KEY),))
    return sorted(order, key=lambda row: (*(row[name] for name in TASK), -row["cv_macro_f1"]))


def _sae_row(sae: TrainedSae) -> Row:
    record = sae.record
    settings = record.get("settings")
    architecture = settings.get("architecture") if isinstance(settings, dict) else None
    d_sae, trained, held_out = (
        finite_number(record, *path) for path in (("settings", "d_sae"), ("training", "n_positions"), ("n_positions",))
    )
    return {
        "model": sae.model,
        "layer": sae.layer,
        "name": sae.name,
        "architecture": str(architecture or ""),
        "d_sae": _int_or_none(d_sae),
        **{name: _option(record, str(architecture), name) for name in _OPTIONS},
        "n_positions": _int_or_none(trained),
        **{name: finite_number(record, name) for name in _MEASURED},
        "ultra_low_density": finite_number(record, "ultra_low_density", "share"),
        "loss_recovered": finite_number(record, "cross_entropy", "recovered"),
        "n_held_out": _int_or_none(held_out),
        "on_front": "no",
    }


def _option(record: Row, architecture: str, name: str) -> float | int | None:
    """Return a training option; None if the architecture does not use it (stored settings still hold a default)."""
    value = finite_number(record, "settings", name)
    try:
        SaeTraining.model_validate({"architecture": architecture, name: value})
    except ValueError:
        return None
    return _int_or_none(value) if name == "k" else value


def _int_or_none(value: float | None) -> int | None:
    return None if value is None else int(value)
