"""Display names of results and SAEs, and formatting of scores."""

from __future__ import annotations

import html
from typing import Any

import pandas as pd

from app.shared.data.saes import Sae

METRICS = {
    "macro_f1": "macro-F1",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "accuracy": "accuracy",
    "roc_auc": "ROC AUC",
    "cv_macro_f1": "CV macro-F1",
    "cv_accuracy": "CV accuracy",
}
"""Score columns of the summary, with their display names."""
SOURCES = {
    "sae": "SAE features",
    "random_sae": "random SAE",
    "hidden": "hidden states",
    "tfidf": "TF-IDF",
    "pixels": "raw pixels",
    "majority": "majority class",
}


def short_model(name: str) -> str:
    """Model name without its owner."""
    return name.replace("--", "/").rsplit("/", 1)[-1]


def shortened(text: str, letters: int) -> str:
    """Truncate a text to so many letters, with an ellipsis."""
    return text if len(text) <= letters else text[: max(1, letters - 1)] + "…"


def escape(text: str) -> str:
    """Escape markup for Plotly. Quotes stay, because Plotly does not decode `&quot;`."""
    return html.escape(text, quote=False)


def where(row: Any) -> str:
    """Layer and width of a result, `layer 3 · 3k`; "" without a layer."""
    if pd.isna(row.layer):
        return ""
    return f"layer {row.layer}" + (f" · {row.width}" if row.width else "")


def setting(row: Any) -> str:
    """Feature setting of a result, `sum, top-n 0, > 1`."""
    parts = [row.pooling]
    if not pd.isna(row.top_n):
        parts.append(f"top-n {row.top_n}")
    if not pd.isna(row.binarize):
        parts.append(f"> {row.binarize:g}")
    if not pd.isna(row.select_k):
        parts.append(f"best {row.select_k}")
    return ", ".join(part for part in [*parts, row.variant] if part)


def full_title(row: Any) -> str:
    """Dataset and title of a result."""
    return f"{row.task}: {result_title(row)}"


def sae_title(sae: Sae) -> str:
    """Title of an SAE, `all-MiniLM-L6-v2 · layer 3 · 3k`."""
    return f"{short_model(sae.model)} · layer {sae.layer} · {sae.width}"


def result_title(row: Any) -> str:
    """One line that identifies a result within its dataset, with its caution."""
    parts = [SOURCES.get(row.source, row.source), short_model(row.model), where(row), setting(row), row.classifier]
    if row.trained_on:
        parts.append(f"trained on {row.trained_on}")
    if row.caution:
        parts.append(f"⚠ {row.caution}")
    return " · ".join(part for part in parts if part)


def score(value: Any, low: Any = None, high: Any = None) -> str:
    """Format a score with its interval, `0.734 (0.713–0.755)`; a dash if it is unknown."""
    if value is None or pd.isna(value):
        return "–"
    if low is None or high is None or pd.isna(low) or pd.isna(high):
        return f"{value:.3f}"
    return f"{value:.3f} ({low:.3f}–{high:.3f})"
