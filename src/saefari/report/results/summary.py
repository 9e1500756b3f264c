"""summary.csv, and the table at the end of a run."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from saefari.names import INTERVAL_METHOD
from saefari.store import TASK, iter_results, task_names
from saefari.store.files import atomic_write

_RESULT = (
    "model", "model_type", "dataset", "config", "split", "text_field", "layer", "width", "source", "pooling", "top_n",
    "binarize", "select_k", "variant", "classifier", "caution", "macro_f1", "macro_f1_low", "macro_f1_high",
    "macro_precision", "macro_recall", "accuracy", "roc_auc", "cv_macro_f1", "cv_accuracy", "n_train", "n_test",
    "n_features", "seconds",
)  # fmt: skip
COLUMNS = (*_RESULT, "trained_on", "folder")

Row = dict[str, Any]
Result = tuple[Path, dict[str, Any]]
"""A result's folder, and the content of its results.json."""


def write_summary(path: Path, results: Iterable[Result] | None = None) -> list[Row]:
    """Write `Layout.summary` from every results.json below its folder; return a row per setting and classifier.

    results: of `iter_results` of that folder, if read already.

    Column `folder` is the folder of results.json, relative to that of summary.csv; `trained_on` is the other run that
    trained a transferred classifier; `variant` distinguishes imported results; `caution` is the reason why a score
    says little. Cells that older results lack are empty.
    """
    rows = [
        row | {"folder": folder.relative_to(path.parent).as_posix()}
        for folder, result in (iter_results(path.parent) if results is None else results)
        for row in result["summary"]
    ]
    rows.sort(key=lambda row: [*(_sortable(row.get(column)) for column in _RESULT), _sortable(row.get("trained_on"))])
    write_csv(path, COLUMNS, rows)
    return rows


def older_results(results: Iterable[Result], current: int) -> list[Path]:
    """Return folders of results with an older format. current: the current format."""
    formats = [(folder, result.get("settings", {}).get("format")) for folder, result in results]
    return [folder for folder, number in formats if isinstance(number, int) and number < current]


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Write a table atomically; missing values are empty."""
    with (
        atomic_write(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def best_settings(rows: Iterable[Row]) -> list[Row]:
    """Return the best row of each (dataset, model, source), chosen by cross-validation on training rows alone.

    Test scores are not used, since the best of many test scores is optimistic; rows without cross-validation (imported
    ones) are never chosen. Of equal rows the first in the order of the table is chosen.
    """
    best: dict[tuple[str, ...], Row] = {}
    for row in sorted(rows, key=lambda row: [_sortable(row.get(column)) for column in _RESULT]):
        if row["cv_macro_f1"] is None:
            continue
        group = tuple(str(row.get(column, "")) for column in (*TASK, "model", "source"))
        if group not in best or row["cv_macro_f1"] > best[group]["cv_macro_f1"]:
            best[group] = row
    return list(best.values())


def best_table(rows: Iterable[Row]) -> str:
    """Format `best_settings` as a text table with test macro-F1, its 95% interval, and the method of the interval."""
    best = sorted(best_settings(rows), key=lambda row: (*task_of(row), -row["macro_f1"]))
    header = [
        "dataset",
        "source",
        "model",
        "where",
        "setting",
        "classifier",
        "macro-F1",
        "95% interval",
        "CV",
        "accuracy",
    ]
    lines = [
        [
            task,
            row["source"],
            row["model"] or "-",
            layer_text(row),
            setting_text(row),
            row["classifier"],
            f"{row['macro_f1']:.3f}",
            f"{row['macro_f1_low']:.3f}-{row['macro_f1_high']:.3f}",
            f"{row['cv_macro_f1']:.3f}",
            f"{row['accuracy']:.3f}",
        ]
        for task, row in zip(task_names(map(task_of, best)), best, strict=True)
    ]
    note = f"\n95% interval: {INTERVAL_METHOD}" if best else ""
    return format_table(add_caution_column([header, *lines], best)) + note


def task_of(row: Row) -> tuple[str, ...]:
    """Return the columns `TASK` of a row; older rows lack the last."""
    return tuple(str(row.get(column) or "") for column in TASK)


def layer_text(row: Row) -> str:
    """Format layer and width of a summary row as `layer 3 3k`; a dash for a baseline without a layer."""
    if row["layer"] is None:
        return "-"
    return f"layer {row['layer']}" + (f" {row['width']}" if row["width"] else "")


def setting_text(row: Row) -> str:
    """Format the setting of a summary row as `sum, top-n 0, > 1`; a dash for a source without settings."""
    parts = [row["pooling"]]
    if row["top_n"] is not None:
        parts.append(f"top-n {row['top_n']}")
    if row["binarize"] is not None:
        parts.append(f"> {row['binarize']:g}")
    if row["select_k"] is not None:
        parts.append(f"best {row['select_k']}")
    return ", ".join(filter(None, parts)) or "-"


def add_caution_column(lines: Sequence[Sequence[str]], rows: Sequence[Row]) -> list[list[str]]:
    """Append the rows' cautions as last column, if any row has one. lines: the header, then one line per row."""
    cautions = [row.get("caution") or "" for row in rows]
    if not any(cautions):
        return [list(line) for line in lines]
    return [[*line, cell] for line, cell in zip(lines, ["caution", *cautions], strict=False)]


def format_table(lines: Sequence[Sequence[str]]) -> str:
    """Format lines as a text table with aligned columns; the first line is the header."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    header, *body = ["  ".join(f"{cell:<{w}}" for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([header, "-" * len(header), *body])


def _sortable(value: object) -> tuple[int, float, str]:
    """Sort key: None before numbers before text."""
    if value is None:
        return 0, 0.0, ""
    return (1, float(value), "") if isinstance(value, (int, float)) else (2, 0.0, str(value))
