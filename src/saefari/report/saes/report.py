"""Which SAE to use: the tables, figures and sentences that compare the SAEs that were trained."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from saefari.errors import StoreError
from saefari.fingerprint import file_hashes
from saefari.log import logger
from saefari.report.build_record import made_of, standing, write_record
from saefari.report.results.summary import Row, aligned, best_settings, setting_of, where_of, with_cautions, write_csv
from saefari.report.saes.comparison import SAE_COLUMNS, SCORE_COLUMNS, sae_rows, score_rows, task_of
from saefari.report.saes.training_figures import draw_saes
from saefari.store import (
    TASK,
    Layout,
    TrainedSae,
    distinguishing_fields,
    find_files,
    iter_trained,
    read_result,
    read_summary,
)
from saefari.store.layout import RESULTS, SAE_DENSITY, SAE_QUALITY

SAE_TABLE, SCORE_TABLE = "saes.csv", "sae_scores.csv"
SAE_REPORT = "saes.json"
"""The report as text, and what it was made of."""
_MOST_ROWS = 20
_BASELINES = {
    "hidden": "hidden states",
    "random_sae": "random SAE",
    "tfidf": "TF-IDF",
    "pixels": "raw pixels",
    "majority": "majority class",
}
_RULE = (
    "Best: the highest cross-validated macro-F1 on training rows; the test score chooses nothing. An SAE within one\n"
    "standard error of it, over the best one's folds, is not clearly worse (Breiman et al. 1984, Classification and\n"
    "Regression Trees)."
)


def write_sae_report(layout: Layout) -> str:
    """Compare every trained SAE of the tree; returns the text to end a run with, "" where no SAE was trained.

    Written to `Layout.reports`: saes.csv, one row per SAE; sae_scores.csv, one row per dataset and SAE that it was
    classified with; and figures. Two tables, since an SAE has any number of datasets: each opens as one tidy frame,
    and they join on model, layer and name. Without scores, sae_scores.csv has a heading alone.

    What was made of the same files stays as it is. Raises StoreError when something cannot be written; what cannot be
    read is logged and left out.
    """
    trained = list(iter_trained(layout.saes))
    if not trained:
        return ""
    inputs = _inputs(layout, trained)
    if (record := standing(layout.reports / SAE_REPORT, inputs)) is not None:
        return str(record["text"])
    (layout.reports / SAE_REPORT).unlink(missing_ok=True)  # it speaks for all files: it comes last
    text = _write(layout, trained)
    written = [*layout.reports.glob("saes_*.png"), *(layout.reports / name for name in (SAE_TABLE, SCORE_TABLE))]
    write_record(layout.reports / SAE_REPORT, inputs, written, text=text)
    return text


def _inputs(layout: Layout, trained: Sequence[TrainedSae]) -> str:
    """Fingerprint of everything that the report reads."""
    files = [path for sae in trained for path in (sae.folder / SAE_QUALITY, sae.folder / SAE_DENSITY)]
    files += [layout.summary, *(found.path for found in find_files(layout.classifications, RESULTS))]
    there = [path for path in files if path.is_file()]
    names = [os.path.relpath(path, layout.reports) for path in there]
    return made_of(dict(zip(names, file_hashes(there), strict=True)))


def _write(layout: Layout, trained: Sequence[TrainedSae]) -> str:
    """Write the tables and figures; returns the report as text."""
    saes = sae_rows(trained)
    summary = _summary(layout)
    scores = score_rows(saes, summary)
    write_csv(layout.reports / SAE_TABLE, SAE_COLUMNS, saes)
    write_csv(layout.reports / SCORE_TABLE, SCORE_COLUMNS, scores)
    draw_saes(layout.reports, trained, saes, scores, best_settings(summary))
    if not scores:
        return f"{_pareto_table(saes)}\n\n{_NOT_YET}"
    return "\n\n".join(
        [
            *(_scores_table(list(rows)) for _, rows in groupby(scores, task_of)),
            *(_answer(layout, list(rows), summary) for _, rows in groupby(scores, task_of)),
            _RULE,
        ]
    )


_NOT_YET = (
    "No classifier has read these SAEs yet, so which one classifies best is not known: with `datasets` in the same "
    "conf.yaml,\n`python run_experiments.py --config FILE` makes those scores."
)


def _summary(layout: Layout) -> list[Row]:
    """Rows of summary.csv, None for what is empty, with a text_field only where it tells tasks apart.

    There are none where the file is missing or damaged.
    """
    if not layout.summary.exists():
        return []
    try:
        table = read_summary(layout.summary).astype(object)
    except StoreError as error:
        logger.warning("%s", error)
        return []
    table["text_field"] = distinguishing_fields(table[list(TASK)].itertuples(index=False, name=None))
    rows: list[Row] = table.where(table.notna(), None).to_dict("records")
    return rows


def _title(row: Row) -> str:
    return where_of({"layer": row["layer"], "width": row["name"]})


def _pareto_table(saes: Sequence[Row]) -> str:
    """Every SAE, the sparsest of each model and layer first."""
    rows = sorted(saes, key=lambda row: (row["model"], row["layer"], _or_last(row["l0"]), row["name"]))
    heads = ["model", "SAE", *_QUALITY]
    return aligned([heads, *([row["model"], _title(row), *_quality(row)] for row in rows)])


def _scores_table(rows: Sequence[Row]) -> str:
    """The SAEs of one dataset, the best by cross-validation first."""
    heads = ["model", "SAE", "setting", "classifier", "CV", "macro-F1", "95% interval", "L0", "FVU", "on front"]
    lines = [
        [
            row["model"],
            _title(row),
            setting_of(row),
            row["classifier"],
            _digits(row["cv_macro_f1"], 3),
            _digits(row["macro_f1"], 3),
            f"{_digits(row['macro_f1_low'], 3)}-{_digits(row['macro_f1_high'], 3)}",
            _digits(row["l0"], 1),
            _digits(row["fvu"], 3),
            row["on_front"],
        ]
        for row in rows[:_MOST_ROWS]
    ]
    more = f"\n… and {len(rows) - _MOST_ROWS} more in sae_scores.csv" if len(rows) > _MOST_ROWS else ""
    return f"{task_of(rows[0])}:\n\n{aligned(with_cautions([heads, *lines], rows))}{more}"


_QUALITY = ("architecture", "d_sae", "L0", "FVU", "dead", "loss recovered", "on front")


def _quality(row: Row) -> list[str]:
    return [
        row["architecture"] or "-",
        "-" if row["d_sae"] is None else str(row["d_sae"]),
        _digits(row["l0"], 1),
        _digits(row["fvu"], 3),
        _digits(row["dead_fraction"], 3),
        _digits(row["loss_recovered"], 3),
        row["on_front"],
    ]


def _answer(layout: Layout, rows: Sequence[Row], summary: Sequence[Row]) -> str:
    """Which SAE to use for one dataset. rows: its scores, the best by cross-validation first."""
    best = rows[0]
    compared = [f"{what} {_score(row)}" for what, row in _baselines(best, summary)]
    lines = [
        f"{task_of(best)}: {_name(best, rows)} classifies best.",
        f"  {_reached(best)}",
        *_sparsest(rows, _standard_error(layout, best)),
        f"  To compare, on the test rows: {'; '.join(compared) or 'no baseline was classified'}.",
    ]
    return "\n".join(lines)


def _sparsest(rows: Sequence[Row], error: float | None) -> list[str]:
    """Lines on the sparsest SAE whose CV macro-F1 is at most `error` below the best; none where that is not known."""
    best = rows[0]
    if error is None or best["l0"] is None:
        return []
    near = [row for row in rows if row["cv_macro_f1"] >= best["cv_macro_f1"] - error and row["l0"] is not None]
    sparsest = min(near, key=lambda row: row["l0"])
    if sparsest is best:
        return [f"  No sparser SAE is within one standard error ({error:.3f}) of it."]
    return [
        f"  The sparsest within one standard error ({error:.3f}) of it is {_name(sparsest, rows)}.",
        f"  {_reached(sparsest)}",
    ]


def _reached(row: Row) -> str:
    l0, cv = _digits(row["l0"], 1), _digits(row["cv_macro_f1"], 3)
    return f"L0 {l0}, CV macro-F1 {cv}, on the test rows {_score(row)}."


def _name(row: Row, among: Sequence[Row]) -> str:
    """The SAE in a sentence; with its model where there are several."""
    of = f" of {row['model']}" if len({one["model"] for one in among}) > 1 else ""
    return f"{row['name']} (layer {row['layer']}{of})"


def _baselines(best: Row, summary: Sequence[Row]) -> list[tuple[str, Row]]:
    """What the features of the same model, or of no model, reach on a dataset; each chosen by cross-validation."""
    here = [row for row in summary if task_of(row) == task_of(best) and row["folder"].split("/")[0] == best["model"]]
    apart = [row for row in summary if task_of(row) == task_of(best) and not row["model"]]
    chosen = {row["source"]: row for row in best_settings([*here, *apart])}
    return [(what, chosen[source]) for source, what in _BASELINES.items() if source in chosen]


def _standard_error(layout: Layout, row: Row) -> float | None:
    """Of the mean over the folds of cross-validation; None where they are not recorded."""
    try:
        classifiers: Any = read_result(layout.classifications / row["folder"])["classifiers"]
        folds = np.asarray(classifiers[row["classifier"]]["cross_validation"]["folds"], dtype=float)
    except (StoreError, KeyError, TypeError, ValueError):
        return None
    return float(folds.std(ddof=1) / math.sqrt(len(folds))) if len(folds) > 1 and np.isfinite(folds).all() else None


def _score(row: Row) -> str:
    interval = f"{_digits(row['macro_f1_low'], 3)}-{_digits(row['macro_f1_high'], 3)}"
    return f"{_digits(row['macro_f1'], 3)} (95% interval {interval})"


def _digits(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _or_last(value: float | None) -> float:
    return math.inf if value is None else value
