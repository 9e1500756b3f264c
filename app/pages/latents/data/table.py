"""Table of all latents of an SAE on one dataset split, with search and filters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from app.shared.data.codes import CodeSet
from app.shared.data.file_cache import written_ns
from app.shared.data.images.picture import shows_images
from app.shared.data.latents.firing import densities
from app.shared.data.latents.summary import LEAST_ROWS, Summary, summary
from app.shared.data.latents.usage import times_used
from app.shared.data.saes import Sae
from app.shared.data.tree import Index
from app.shared.feature_name import FeatureName
from saefari.store import Explanation, read_explanations

DENSE = 0.1
"""Share of positions above which a latent is called dense."""


@dataclass(frozen=True)
class Explanations:
    """Explanations of an SAE's latents. by_latent: latent -> explanation. scores: column -> latent -> value."""

    by_latent: dict[int, Explanation]
    scores: dict[str, dict[int, float]]


def latent_table(sae: Sae, codes: CodeSet, index: Index) -> pd.DataFrame:
    """One row per latent: latent, name, score (as text), explanation, doubtful (if the first score is not above its
    controls), a column per score, density, log10_density, largest, top_class, lift, rows_fired, results (number of
    read results that use it); with images also strongest_row, the row of its largest activation.

    top_class: the class with the highest lift among those with LEAST_ROWS rows in which the latent fires.
    Raises StoreError if the codes cannot be read.
    """
    exact, known = densities(codes), summary(codes)
    d_sae = len(exact.counts)
    top_class, lift = top_classes(known)
    with np.errstate(divide="ignore"):
        log10 = np.where(exact.counts > 0, np.log10(exact.values), np.nan)
    explanations = explanations_of(sae)
    images = {}
    if shows_images(codes.samples):
        images["strongest_row"] = pd.array(known.strongest, dtype="Int64")
        images["strongest_row"][known.strongest < 0] = pd.NA
    latents = pd.RangeIndex(d_sae)
    columns: dict[str, Any] = {"latent": latents.to_numpy()} | images
    names = {i: FeatureName("latent", i, "", one) for i, one in explanations.by_latent.items()}
    for column, values in (
        ("name", {i: name.title for i, name in names.items()}),
        ("score", {i: name.score for i, name in names.items()}),
        ("explanation", {i: name.sentence for i, name in names.items()}),
    ):
        columns[column] = pd.Series(values, dtype=object).reindex(latents, fill_value="").to_numpy()
    columns["doubtful"] = np.isin(latents, [i for i, name in names.items() if name.is_doubtful])
    for column, numbers in explanations.scores.items():
        columns[column] = pd.Series(numbers, dtype=np.float64).reindex(latents).to_numpy()
    columns |= {"density": exact.values, "log10_density": log10, "largest": known.largest}
    columns |= {"top_class": top_class, "lift": lift, "rows_fired": known.rows_fired}
    return pd.DataFrame(columns | {"results": times_used(sae, d_sae, index)})


def filtered(table: pd.DataFrame, search: str, show: str, class_name: str) -> pd.DataFrame:
    """Rows with every word of `search` in their name or explanation, and `class_name` in their top class.

    show: all, alive, dead, dense (active at more than DENSE of the positions), explained or used.
    """
    keep = {
        "alive": table["density"] > 0,
        "dead": table["density"] == 0,
        "dense": table["density"] > DENSE,
        "explained": table["explanation"] != "",
        "used": table["results"] > 0,
    }.get(show, pd.Series(True, index=table.index))
    words = table["name"] + " " + table["explanation"]
    for word in search.split():
        keep &= words.str.contains(word, case=False, regex=False)
    if class_name.strip():
        keep &= table["top_class"].str.contains(class_name.strip(), case=False, regex=False)
    return table[keep]


def top_classes(known: Summary) -> tuple[np.ndarray, np.ndarray]:
    """(class, lift) of each latent; "" and NaN if no class has enough rows."""
    if known.fired is None:
        return np.full(len(known.largest), "", dtype=object), np.full(len(known.largest), np.nan)
    lift = np.where(known.fired >= LEAST_ROWS, known.lift(), -1.0)
    best = lift.argmax(axis=1)
    highest = lift[np.arange(len(best)), best]
    enough = highest > 0
    names = np.where(enough, np.asarray(known.classes, dtype=object)[best], "")
    return names, np.where(enough, highest, np.nan)


def explanations_of(sae: Sae) -> Explanations:
    """Read the explanations of an SAE's latents, cached until their folder changes."""
    return _read_explanations(sae.explanations, written_ns(sae.explanations))


@lru_cache(maxsize=8)
def _read_explanations(folder: Path, changed: int) -> Explanations:
    found = read_explanations(folder)
    scores: dict[str, dict[int, float]] = {}
    for latent, one in found.items():
        for name, score in one.scores.items():
            scores.setdefault(f"score: {name}", {})[latent] = score.value
    return Explanations(found, dict(sorted(scores.items())))
