"""Report that compares trained SAEs and recommends one: tables, figures and text."""

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
from saefari.report.build_record import current_record, report_fingerprint, write_record
from saefari.report.results.summary import (
    Row,
    add_caution_column,
    best_settings,
    format_table,
    layer_text,
    setting_text,
    write_csv,
)
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
"""The report as text, with the record of its inputs."""
_MOST_ROWS = 20
_BASELINES = {
    "hidden": "hidden states",
    "random_sae": "random SAE",
    "tfidf": "TF-IDF",
    "pixels": "raw pixels",
    "majority": "majority class",
}
_RULE = (
    "Best = highest cross-validated macro-F1 on training rows; test scores are not used. An SAE within one standard\n"
    "error (over the folds of the best) is not clearly worse (one-standard-error rule: Breiman et al. 1984,\n"
    "Classification and Regression Trees)."
)


def write_sae_report(layout: Layout) -> str:
    """Compare all trained SAEs of the tree; return the text for the end of a run, "" if no SAE was trained.

    Writes to `Layout.reports`: saes.csv, one row per SAE; sae_scores.csv, one row per dataset and SAE, empty without
    scores; and figures. The tables join on model, layer and name.

    An unchanged report is not written again. Raises StoreError if a file cannot be written; files that cannot be read
    are logged and left out.
    """
    trained = list(iter_trained(layout.saes))
    if not trained:
        return ""
    inputs = _inputs(layout, trained)
    if (record := current_record(layout.reports / SAE_REPORT, inputs)) is not None:
        return str(record["text"])
    (layout.reports / SAE_REPORT).unlink(missing_ok=True)  # it vouches for all files, so it is written last
    text = _write(layout, trained)
    written = [*layout.reports.glob("saes_*.png"), *(layout.reports / name for name in (SAE_TABLE, SCORE_TABLE))]
    write_record(layout.reports / SAE_REPORT, inputs, written, text=text)
    return text


def _inputs(layout: Layout, trained: Sequence[TrainedSae]) -> str:
    """Fingerprint of everything that the report reads."""
    paths = [path for sae in trained for path in (sae.folder / SAE_QUALITY, sae.folder / SAE_DENSITY)]
    paths += [layout.summary, *(found.path for found in find_files(layout.classifications, RESULTS))]
    files = [path for path in paths if path.is_file()]
    names = [os.path.relpath(path, layout.reports) for path in files]
    return report_fingerprint(dict(zip(names, file_hashes(files), strict=True)))


def _write(layout: Layout, trained: Sequence[TrainedSae]) -> str:
    """Write the tables and figures; return the report as text."""
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
            *(_recommendation(layout, list(rows), summary) for _, rows in groupby(scores, task_of)),
            _RULE,
        ]
    )


_NOT_YET = (
    "No classifier was trained on these SAEs yet. To compare them by macro-F1, add `datasets` to the same conf.yaml\n"
    "and run `python run_experiments.py --config FILE`."
)


def _summary(layout: Layout) -> list[Row]:
    """Read summary.csv, None for empty cells, with text_field only if needed to distinguish tasks.

    Returns [] if the file is missing or damaged.
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
    return layer_text({"layer": row["layer"], "width": row["name"]})


def _pareto_table(saes: Sequence[Row]) -> str:
    """Table of all SAEs, the sparsest of each model and layer first."""
    rows = sorted(saes, key=lambda row: (row["model"], row["layer"], _or_last(row["l0"]), row["name"]))
    header = ["model", "SAE", *_QUALITY]
    return format_table([header, *([row["model"], _title(row), *_quality(row)] for row in rows)])


def _scores_table(rows: Sequence[Row]) -> str:
    """Table of the SAEs of one dataset, the best by cross-validation first."""
    header = ["model", "SAE", "setting", "classifier", "CV", "macro-F1", "95% interval", "L0", "FVU", "on front"]
    lines = [
        [
            row["model"],
            _title(row),
            setting_text(row),
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
    return f"{task_of(rows[0])}:\n\n{format_table(add_caution_column([header, *lines], rows))}{more}"


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


def _recommendation(layout: Layout, rows: Sequence[Row], summary: Sequence[Row]) -> str:
    """Sentences on which SAE to use for one dataset. rows: its scores, the best by cross-validation first."""
    best = rows[0]
    baselines = [f"{name} {_score(row)}" for name, row in _baselines(best, summary)]
    lines = [
        f"{task_of(best)}: {_name(best, rows)} classifies best.",
        f"  {_scores_line(best)}",
        *_sparsest(rows, _standard_error(layout, best)),
        f"  Baselines on the test rows: {'; '.join(baselines) or 'none was classified'}.",
    ]
    return "\n".join(lines)


def _sparsest(rows: Sequence[Row], error: float | None) -> list[str]:
    """Lines on the sparsest SAE whose CV macro-F1 is within `error` of the best; none if `error` or L0 is unknown."""
    best = rows[0]
    if error is None or best["l0"] is None:
        return []
    near = [row for row in rows if row["cv_macro_f1"] >= best["cv_macro_f1"] - error and row["l0"] is not None]
    sparsest = min(near, key=lambda row: row["l0"])
    if sparsest is best:
        return [f"  No sparser SAE is within one standard error ({error:.3f})."]
    return [
        f"  The sparsest SAE within one standard error ({error:.3f}) is {_name(sparsest, rows)}.",
        f"  {_scores_line(sparsest)}",
    ]


def _scores_line(row: Row) -> str:
    l0, cv = _digits(row["l0"], 1), _digits(row["cv_macro_f1"], 3)
    return f"L0 {l0}, CV macro-F1 {cv}, test macro-F1 {_score(row)}."


def _name(row: Row, among: Sequence[Row]) -> str:
    """Name the SAE in a sentence, with its model if there are several."""
    of = f" of {row['model']}" if len({one["model"] for one in among}) > 1 else ""
    return f"{row['name']} (layer {row['layer']}{of})"


def _baselines(best: Row, summary: Sequence[Row]) -> list[tuple[str, Row]]:
    """Baselines of the same model, or of no model, on a dataset; each chosen by cross-validation."""
    same_task = [row for row in summary if task_of(row) == task_of(best)]
    of_model = [row for row in same_task if row["folder"].split("/")[0] == best["model"]]
    chosen = {row["source"]: row for row in best_settings([*of_model, *(row for row in same_task if not row["model"])])}
    return [(name, chosen[source]) for source, name in _BASELINES.items() if source in chosen]


def _standard_error(layout: Layout, row: Row) -> float | None:
    """Standard error of the mean over cross-validation folds; None if the folds are not recorded."""
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
