"""Selected results side by side: scores, settings with their differences, and F1 per class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.shared.data.one_result import OneResult, find_result
from app.shared.data.tree import Index
from app.shared.labels import score
from saefari.errors import StoreError

MOST = 8
_SCORES = {
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "accuracy": "accuracy",
    "weighted_f1": "weighted F1",
    "roc_auc": "ROC AUC",
}
_NOT_A_SETTING = {"format", "inputs"}


def read_picks(index: Index, picks: Sequence[str]) -> tuple[list[OneResult], list[str]]:
    """Read the results with ids `<run>.<classifier>`, at most MOST, and list problems with the others."""
    found, problems = [], []
    wanted = list(dict.fromkeys(picks))
    for pick in wanted[:MOST]:
        run, _, classifier = pick.partition(".")
        try:
            found.append(find_result(index, run, classifier))
        except StoreError as error:
            problems.append(str(error))
    if len(wanted) > MOST:
        problems.append(f"{len(wanted)} results are selected; the first {MOST} are shown")
    return found, problems


def score_rows(results: Sequence[OneResult]) -> list[tuple[str, list[str]]]:
    """(score name, value per result); macro-F1 with its interval."""
    rows = [
        (
            "macro-F1",
            [score(one.scores.get("macro_f1"), *(_pair(one.scores.get("macro_f1_interval")))) for one in results],
        ),
        ("CV macro-F1", [score((one.scores.get("cross_validation") or {}).get("macro_f1")) for one in results]),
        ("CV accuracy", [score(one.row.cv_accuracy) for one in results]),
    ]
    rows += [(name, [score(one.scores.get(key)) for one in results]) for key, name in _SCORES.items()]
    counts = [("training rows", "n_train"), ("test rows", "n_test")]
    rows += [(name, [_text(one.record.get(key)) for one in results]) for name, key in counts]
    rows += (
        [("caution", [one.row.caution or "–" for one in results])] if any(one.row.caution for one in results) else []
    )
    return [*rows, ("features", [_text(one.scores.get("n_features")) for one in results])]


def setting_rows(results: Sequence[OneResult]) -> list[tuple[str, list[str], bool]]:
    """(setting, value per result, whether they differ), differing settings first."""
    parts = [{"classifier": one.classifier} | one.record["settings"] | _chosen(one) for one in results]
    names = [name for name in dict.fromkeys(name for part in parts for name in part) if name not in _NOT_A_SETTING]
    rows = []
    for name in names:
        values = [_text(part.get(name)) for part in parts]
        rows.append((name, values, len(set(values)) > 1))
    return sorted(rows, key=lambda row: not row[2])


def f1_rows(results: Sequence[OneResult]) -> list[tuple[str, list[float | None]]]:
    """(class, F1 per result) for every class of any result."""
    names = dict.fromkeys(name for one in results for name in one.classes)
    reports = [one.scores.get("per_class") or {} for one in results]
    return [(name, [(report.get(name) or {}).get("f1") for report in reports]) for name in names]


def _chosen(one: OneResult) -> dict[str, Any]:
    return {f"chosen {name}": value for name, value in (one.scores.get("chosen") or {}).items()}


def _pair(interval: Any) -> tuple[Any, Any]:
    return (interval[0], interval[1]) if interval else (None, None)


def _text(value: Any) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
