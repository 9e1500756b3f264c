"""Summary of one result: score tiles, remarks and provenance."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc

from app.pages.run.data.scores import share_interval
from app.shared.data.one_result import OneResult
from app.shared.labels import score
from app.shared.parts.grid import grid, text_column
from app.shared.parts.page import figure_tile, notice


def tiles(result: OneResult) -> dmc.SimpleGrid:
    """Tiles of the main scores with their intervals."""
    scores, record = result.scores, result.record
    low, high = scores.get("macro_f1_interval") or (None, None)
    method = str(scores.get("interval_method", "resampled test rows"))
    n_test, accuracy = record.get("n_test"), scores.get("accuracy")
    held = scores.get("cross_validation") or {}
    folds = held.get("folds") or []
    right = "interval unknown"
    if accuracy is not None and n_test:
        right = "95% {:.3f}–{:.3f} (Wilson)".format(*share_interval(accuracy, n_test))
    shown = [
        (
            "macro-F1",
            score(scores.get("macro_f1")),
            _interval(low, high, method),
        ),
        (
            "CV macro-F1",
            score(held.get("macro_f1")),
            f"folds {min(folds):.3f}–{max(folds):.3f}" if folds else "not recorded",
        ),
        ("accuracy", score(accuracy), right),
        ("CV accuracy", score(result.row.cv_accuracy), _spread(held)),
        ("macro precision", score(result.row.macro_precision), "mean over classes"),
        ("macro recall", score(result.row.macro_recall), "mean over classes"),
        ("weighted F1", score(scores.get("weighted_f1")), "weighted by test rows per class"),
        ("ROC AUC", score(scores.get("roc_auc")), "mean over classes" if len(result.classes) > 2 else "second class"),
        ("test rows", _count(n_test), f"{len(result.classes)} classes"),
        ("training rows", _count(record.get("n_train")), "not tested on"),
        ("features", _count(scores.get("n_features")), _seconds(scores.get("seconds"))),
    ]
    return dmc.SimpleGrid([figure_tile(*one) for one in shown], cols={"base": 2, "sm": 4}, spacing="sm")


def remarks(record: dict[str, Any]) -> dmc.Stack | None:
    """Caution, origin, warnings and excluded classes of a result; None if there are none."""
    found = []
    if caution := record["settings"].get("caution"):
        found.append(notice(f"{caution[0].upper()}{caution[1:]}: the scores are not meaningful.", "Caution", "red"))
    if transfer := record.get("transfer"):
        found.append(notice(_transferred(transfer), "Transfer: classifiers of another run, not retrained"))
    if imported := record.get("imported_from"):
        listed = imported.items() if isinstance(imported, dict) else [("from", imported)]
        found.append(notice(", ".join(f"{key}: {value}" for key, value in listed), "Imported from elsewhere"))
    if warnings := record.get("warnings"):
        listed = dmc.List([dmc.ListItem(str(one)) for one in warnings], size="sm")
        found.append(dmc.Alert(listed, title="Warnings", color="orange", variant="light"))
    if dropped := record.get("dropped_classes"):
        named = ", ".join(f"{name} ({reason})" for name, reason in dropped.items())
        found.append(notice(f"Too few rows for training and testing: {named}", "Excluded classes", "orange"))
    return dmc.Stack(found, gap="sm") if found else None


def provenance(result: OneResult) -> list[Any]:
    """Table of hyperparameters, settings, versions and inputs."""
    record = result.record
    rows = _rows("hyperparameter", result.scores.get("chosen") or {})
    rows += _rows("setting", record["settings"])
    rows += _rows("version", record.get("libraries") or {})
    rows += _rows("record", {key: record.get(key) for key in ("created", "fingerprint", "n_train", "n_test")})
    rows += [
        {"kind": "samples", "name": str(i + 1), "value": str(one)} for i, one in enumerate(record.get("samples") or [])
    ]
    columns = [text_column("kind", width=150), text_column("name", width=170)]
    columns += [text_column("value", flex=1, minWidth=260, tooltipField="value")]
    return [grid("provenance", columns, rows, height=420)]


def _transferred(transfer: dict[str, Any]) -> str:
    """Describe a transfer: the training run, its in-domain scores, and the majority-class score here."""
    there = ", ".join(f"{name} {score(scores.get('macro_f1'))}" for name, scores in transfer["in_domain"].items())
    guess = transfer["majority"]
    return (
        f"Trained on {transfer['trained_on']}, with macro-F1 there: {there}. Always predicting that run's most "
        f"frequent class, {guess['class']!r}, gives {score(guess['macro_f1'])} here."
    )


def _rows(kind: str, values: dict[str, Any]) -> list[dict[str, str]]:
    return [
        {"kind": kind, "name": str(name), "value": "–" if value is None or value == "" else str(value)}
        for name, value in values.items()
    ]


def _interval(low: Any, high: Any, what: str) -> str:
    return "interval unknown" if low is None or high is None else f"95% {low:.3f}–{high:.3f} ({what})"


def _spread(held: dict[str, Any]) -> str:
    """Standard deviation of the folds' accuracies, if recorded."""
    deviation = held.get("accuracy_std")
    return "on training rows" if deviation is None else f"standard deviation {deviation:.3f}"


def _count(number: Any) -> str:
    return f"{number:,}" if isinstance(number, int) else "–"


def _seconds(seconds: Any) -> str:
    return "" if seconds is None else f"fitted in {seconds:.1f} s"
