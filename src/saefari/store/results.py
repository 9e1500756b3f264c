"""results.json of each setting, and the summary table of all settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saefari.errors import StoreError
from saefari.log import logger
from saefari.store.files import read_json
from saefari.store.layout import RESULTS

if TYPE_CHECKING:
    import pandas as pd

TASK = ("dataset", "config", "split", "text_field")
"""Columns that identify the task of a result: dataset split and text column."""
_TEXTS = (
    *TASK, "model", "model_type", "width", "source", "pooling", "variant", "classifier", "caution", "trained_on",
    "folder",
)  # fmt: skip
_INTEGERS = ("layer", "top_n", "select_k", "n_train", "n_test", "n_features")
_FRACTIONS = (
    "binarize", "macro_f1", "macro_f1_low", "macro_f1_high", "macro_precision", "macro_recall", "accuracy", "roc_auc",
    "cv_macro_f1", "cv_accuracy", "seconds",
)  # fmt: skip
_ADDED_LATER = ("text_field", "variant", "caution", "macro_precision", "macro_recall", "cv_accuracy", "trained_on")
"""Columns that tables of earlier versions lack."""
SUMMARY_COLUMNS = (*_TEXTS, *_INTEGERS, *_FRACTIONS)


def finished_result(folder: Path, fingerprint: str) -> dict[str, Any] | None:
    """Return a setting's results if their fingerprint matches, else None."""
    try:
        result: dict[str, Any] | None = read_json(folder / RESULTS)
    except StoreError:
        return None  # damaged: the setting is computed again
    return result if result is not None and result.get("fingerprint") == fingerprint else None


def read_result(folder: Path) -> dict[str, Any]:
    """Return a setting's results. Raises StoreError if there are none."""
    result: dict[str, Any] | None = read_json(folder / RESULTS)
    if result is None:
        raise StoreError(f"{folder / RESULTS} does not exist: run `python run_experiments.py --classify-only`")
    return result


def iter_results(classifications: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield (folder, results) of every setting below a folder, sorted; unreadable results are logged and skipped."""
    for path in sorted(classifications.rglob(RESULTS)):
        try:
            yield path.parent, read_result(path.parent)
        except StoreError as error:
            logger.warning("%s", error)


def read_summary(path: Path) -> pd.DataFrame:
    """Read summary.csv, one row per setting and classifier. Empty cells are "" in text columns, else missing values.

    Raises StoreError if it is not a valid summary.
    """
    import pandas as pd

    try:
        return summary_table(pd.read_csv(path, dtype=str, keep_default_na=False))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StoreError(f"{path}: not a valid summary of results ({error}); run `python run_experiments.py`") from None


def summary_table(rows: Any) -> pd.DataFrame:
    """Return rows of the summary as a table with typed columns; columns added in later versions may be missing.

    Raises KeyError, TypeError or ValueError for invalid rows.
    """
    import pandas as pd

    table = pd.DataFrame(rows)
    table = table.assign(**{name: "" for name in _ADDED_LATER if name not in table})
    missing = table.isna() | (table == "")
    texts = {name: table[name].astype(str).where(~missing[name], "") for name in _TEXTS}
    numbers = {
        name: pd.to_numeric(table[name].where(~missing[name], None)).astype(kind)
        for names, kind in ((_INTEGERS, "Int64"), (_FRACTIONS, "float64"))
        for name in names
    }
    typed: pd.DataFrame = pd.DataFrame(texts | numbers)
    return typed


def distinguishing_fields(tasks: Iterable[tuple[str, ...]]) -> list[str]:
    """Return each task's text_field if the tasks of its split have several, else "". tasks: columns `TASK`."""
    listed = list(tasks)
    columns = Counter(tuple(split) for *split, text_field in set(listed) if text_field)
    return [text_field if columns[tuple(split)] > 1 else "" for *split, text_field in listed]


def task_names(tasks: Iterable[tuple[str, ...]]) -> list[str]:
    """Return `<dataset>[/<config>]/<split>` of each task, plus the text_field in brackets if it distinguishes tasks."""
    listed = list(tasks)
    fields = distinguishing_fields(listed)
    return [task_name((*split, field)) for (*split, _), field in zip(listed, fields, strict=True)]


def task_name(task: tuple[str, ...]) -> str:
    """Return `<dataset>[/<config>]/<split>[ (<text_field>)]` of a task."""
    *split, text_field = task
    return "/".join(filter(None, split)) + (f" ({text_field})" if text_field else "")
