"""Tables of a classifier's most important features."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from saefari.store import read_explanation


def feature_table(top: dict[str, list[dict[str, Any]]] | list[dict[str, Any]], n: int) -> pd.DataFrame:
    """Return `top_features` of results.json as a table, the first n of each list.

    top: per class (linear probe): class, feature, name, weight; or one list (tree): feature, name, importance.
    """
    if isinstance(top, dict):
        rows = [{"class": name} | entry for name, entries in top.items() for entry in entries[:n]]
        return _table(rows, ["class", "feature", "name", "weight"])
    return _table(top[:n], ["feature", "name", "importance"])


def explained_latents(features: pd.DataFrame, explanations: Path) -> pd.DataFrame:
    """Turn a table of features into one of latents with explanations; explanations: the SAE's folder of them."""
    latents = features.drop(columns="name").rename(columns={"feature": "latent"})
    found = {latent: read_explanation(explanations, latent) for latent in latents["latent"].unique()}
    texts = {latent: one.text if one else "" for latent, one in found.items()}
    return latents.assign(explanation=[texts[latent] for latent in latents["latent"]])


def _table(rows: Iterable[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame([{"name": ""} | row for row in rows], columns=columns)
