"""Tables of a classifier's most important features."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from saefari.store import read_explanation, read_explanations


def feature_table(top: dict[str, list[dict[str, Any]]] | list[dict[str, Any]], n: int) -> pd.DataFrame:
    """Return `top_features` of results.json as a table, the first n of each list.

    top: per class (linear probe): class, feature, name, weight; or one list (tree): feature, name, importance.
    """
    if isinstance(top, dict):
        rows = [{"class": name} | entry for name, entries in top.items() for entry in entries[:n]]
        return _table(rows, ["class", "feature", "name", "weight"])
    return _table(top[:n], ["feature", "name", "importance"])


def explained_latents(features: pd.DataFrame, explanations: Path) -> pd.DataFrame:
    """Turn a table of features into one of latents with names; explanations: the SAE's folder of explanations."""
    latents = features.drop(columns="name").rename(columns={"feature": "latent"})
    found = {latent: read_explanation(explanations, latent) for latent in latents["latent"].unique()}
    known = [found[latent] for latent in latents["latent"]]
    latents.insert(list(latents).index("latent") + 1, "name", [one.name if one else "" for one in known])
    return latents.assign(
        score=[one.first_score if one else None for one in known],
        explanation=[one.text if one else "" for one in known],
    ).astype({"score": "float64"})


def explanation_table(explanations: Path) -> pd.DataFrame:
    """Return the explanations in an SAE's folder: latent, name, explanation, explainer and, per scorer, its score."""
    rows = [
        {"latent": latent, "name": one.name, "explanation": one.text, "explainer": one.explainer}
        | {f"score:{name}": score.value for name, score in one.scores.items()}
        for latent, one in read_explanations(explanations).items()
    ]
    return pd.DataFrame(rows, columns=None if rows else ["latent", "name", "explanation", "explainer"])


def _table(rows: Iterable[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame([{"name": ""} | row for row in rows], columns=columns)
