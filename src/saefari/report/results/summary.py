"""summary.csv, and the table that a run ends with."""

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
"""A result's folder, and what its results.json holds."""


def write_summary(path: Path, results: Iterable[Result] | None = None) -> list[Row]:
    """Write `Layout.summary` from every results.json below its folder; return a row per setting and classifier.

    results: of `iter_results` of that folder, where they were read already.

    Column `folder` says where a row's results.json lies, below that folder; `trained_on` which other run trained the
    classifier, empty where it was trained in its own; `variant` what else tells an imported result from others;
    `caution` why a score says little. Cells that older results lack are empty.
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
    """Folders of the results that an older version's classification made. current: the format of today's results."""
    formats = [(folder, result.get("settings", {}).get("format")) for folder, result in results]
    return [folder for folder, number in formats if isinstance(number, int) and number < current]


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Write a table whole or not at all; what is not known is empty."""
    with (
        atomic_write(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def best_settings(rows: Iterable[Row]) -> list[Row]:
    """Return the best row of each (dataset, model, source), chosen by cross-validation on training rows alone.

    Never by the test score: the best of many test scores is too good; so rows without cross-validation (imported
    ones) are never chosen. Of equal ones, the first in the table's order is best.
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
    """`best_settings` as text: what was best, and macro-F1 on the test rows with its 95% interval, which is named."""
    best = sorted(best_settings(rows), key=lambda row: (*task_of(row), -row["macro_f1"]))
    heads = [
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
            where_of(row),
            setting_of(row),
            row["classifier"],
            f"{row['macro_f1']:.3f}",
            f"{row['macro_f1_low']:.3f}-{row['macro_f1_high']:.3f}",
            f"{row['cv_macro_f1']:.3f}",
            f"{row['accuracy']:.3f}",
        ]
        for task, row in zip(task_names(map(task_of, best)), best, strict=True)
    ]
    note = f"\n95% interval: {INTERVAL_METHOD}" if best else ""
    return aligned(with_cautions([heads, *lines], best)) + note


def task_of(row: Row) -> tuple[str, ...]:
    """What names the task of a row: its columns `TASK`; older rows lack the last."""
    return tuple(str(row.get(column) or "") for column in TASK)


def where_of(row: Row) -> str:
    """`layer 3 3k` of a row of the summary; a dash for a baseline without a layer."""
    if row["layer"] is None:
        return "-"
    return f"layer {row['layer']}" + (f" {row['width']}" if row["width"] else "")


def setting_of(row: Row) -> str:
    """`sum, top-n 0, > 1` of a row of the summary; a dash where there is nothing to say."""
    parts = [row["pooling"]]
    if row["top_n"] is not None:
        parts.append(f"top-n {row['top_n']}")
    if row["binarize"] is not None:
        parts.append(f"> {row['binarize']:g}")
    if row["select_k"] is not None:
        parts.append(f"best {row['select_k']}")
    return ", ".join(filter(None, parts)) or "-"


def with_cautions(lines: Sequence[Sequence[str]], rows: Sequence[Row]) -> list[list[str]]:
    """Add the rows' cautions as a last column, where one has any. lines: the heading, then one line per row."""
    cautions = [row.get("caution") or "" for row in rows]
    if not any(cautions):
        return [list(line) for line in lines]
    return [[*line, cell] for line, cell in zip(lines, ["caution", *cautions], strict=False)]


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Columns of equal width under a ruled heading."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    heading, *body = [
        "  ".join(f"{cell:<{w}}" for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines
    ]
    return "\n".join([heading, "-" * len(heading), *body])


def _sortable(value: object) -> tuple[int, float, str]:
    """Nothing before numbers before text."""
    if value is None:
        return 0, 0.0, ""
    return (1, float(value), "") if isinstance(value, (int, float)) else (2, 0.0, str(value))
