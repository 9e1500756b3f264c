"""transfer.csv: scores of transferred classifiers, with their in-domain scores and the majority baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from saefari.report.results.summary import Row, add_caution_column, format_table, setting_text, write_csv
from saefari.store import Layout, iter_results

TRANSFERS = "transfer.csv"
_RESULT = (
    "source", "pooling", "top_n", "binarize", "select_k", "classifier", "caution", "macro_f1", "macro_f1_low",
    "macro_f1_high", "accuracy", "n_train", "n_test",
)  # fmt: skip
COLUMNS = (
    "trained_on", "tested_on", "rows", *_RESULT, "in_domain_macro_f1", "in_domain_macro_f1_low",
    "in_domain_macro_f1_high", "majority_macro_f1", "rows_trained_on", "rows_unmapped", "folder",
)  # fmt: skip


def write_transfers(layout: Layout) -> Path:
    """Write one row of COLUMNS per transferred classifier of the tree; return the file's path.

    rows_trained_on, rows_unmapped: numbers of rows of the tested run that were left out, by reason.
    """
    path = layout.reports / TRANSFERS
    rows = [
        row | {"folder": folder.relative_to(layout.classifications).as_posix()}
        for folder, result in iter_results(layout.classifications)
        if "transfer" in result
        for row in transfer_rows(result)
    ]
    write_csv(path, COLUMNS, rows)
    return path


def transfer_rows(result: Mapping[str, Any]) -> list[Row]:
    """Return one row of COLUMNS, without `folder`, per classifier of a transferred result."""
    transfer = result["transfer"]
    left_out = transfer["rows_left_out"]
    rows = []
    for row in result["summary"]:
        in_domain = transfer["in_domain"][row["classifier"]]
        low, high = in_domain["macro_f1_interval"]
        rows.append(
            {
                "trained_on": transfer["trained_on"],
                "tested_on": transfer["tested_on"],
                "rows": result["settings"]["rows"],
                **{name: row.get(name) for name in _RESULT},
                "in_domain_macro_f1": in_domain["macro_f1"],
                "in_domain_macro_f1_low": low,
                "in_domain_macro_f1_high": high,
                "majority_macro_f1": transfer["majority"]["macro_f1"],
                "rows_trained_on": left_out["trained_on"],
                "rows_unmapped": left_out["unmapped"],
            }
        )
    return rows


def transfer_table(rows: Sequence[Row]) -> str:
    """Format the rows as a text table; `majority` is the score of predicting the training run's majority class."""
    header = [
        "trained on", "tested on", "setting", "classifier", "in-domain", "macro-F1", "95% interval", "majority", "rows",
    ]  # fmt: skip
    lines = [
        [
            row["trained_on"],
            row["tested_on"],
            setting_text(row),
            row["classifier"],
            f"{row['in_domain_macro_f1']:.3f}",
            f"{row['macro_f1']:.3f}",
            f"{row['macro_f1_low']:.3f}-{row['macro_f1_high']:.3f}",
            f"{row['majority_macro_f1']:.3f}",
            str(row["n_test"]),
        ]
        for row in rows
    ]
    return format_table(add_caution_column([header, *lines], rows))
