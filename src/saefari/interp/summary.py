"""The record and the table of an SAE's explanations: mean scores beside their controls, and one row per latent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from saefari.interp.scorers.controls import agreement, summarise
from saefari.interp.scorers.scorer import Scorer
from saefari.interp.scorers.statistics import Mean
from saefari.store import write_json, write_parquet
from saefari.store.explanations import SUMMARY_RECORD, SUMMARY_TABLE

Record = Mapping[str, Any]


def write_summary(
    folder: Path,
    *,
    explained: Sequence[Record],
    scorers: Sequence[Scorer],
    random_scores: Mapping[str, Any],
    too_few: Sequence[tuple[int, int]],
    **more: Any,
) -> dict[str, Any]:
    """Write explanations.parquet and then explanations.json, which marks an SAE as finished; return its content.

    explained: the content of the latents' files. random_scores: scorer -> summary of the random SAE's scores. too_few:
    (latent, rows in which it is active). more: further JSON-able content, such as `inputs` and `failures`.
    """
    names = [scorer.name for scorer in scorers]
    write_parquet(folder / SUMMARY_TABLE, pa.Table.from_pylist([_row(one, names) for one in explained]))
    record = {
        "n_explained": len(explained),
        "too_few": [list(pair) for pair in too_few],
        "scores": {
            scorer.name: summary
            for scorer in scorers
            if (summary := _summary(explained, scorer, random_scores.get(scorer.name)))
        },
        "spearman": {
            f"{first}, {second}": correlation.record()
            for (first, second), correlation in agreement({name: _values(explained, name) for name in names}).items()
        },
        **more,
    }
    write_json(folder / SUMMARY_RECORD, record)
    return record


def _summary(explained: Sequence[Record], scorer: Scorer, random_sae: Record | None) -> dict[str, Any] | None:
    """Summarise one scorer beside its controls; None if nothing is scored. random_sae: summary of the random SAE."""
    values = _values(explained, scorer.name)
    if not values:
        return None
    densities = {one["latent"]: one["counts"]["density"] for one in explained}
    shuffled = {one["latent"]: value for one in explained if (value := _shuffled(one, scorer.name)) is not None}
    control = None
    if random_sae:
        interval = random_sae["interval"]
        control = Mean(random_sae["mean"], interval and (interval[0], interval[1]), random_sae["n"])
    return summarise(values, densities, scorer.chance, shuffled, control).record()


def _values(explained: Sequence[Record], scorer: str) -> dict[int, float]:
    """Return latent -> value of a scorer."""
    return {one["latent"]: one["scores"][scorer]["value"] for one in explained if scorer in one["scores"]}


def _shuffled(one: Record, scorer: str) -> float | None:
    control = one["scores"].get(scorer, {}).get("controls", {}).get("shuffled")
    return None if control is None else control["value"]


def _row(one: Record, scorers: Sequence[str]) -> dict[str, Any]:
    counts = one["counts"]
    rates = {name: active / of for name, (active, of) in counts["classes"].items() if of}
    row = {
        "latent": one["latent"],
        "name": one["name"],
        "explanation": one["explanation"],
        "explainer": one["explainer"],
        "model": one["model"] or "",
        "version": one["version"],
        "n_rows": counts["rows"],
        "n_activations": counts["activations"],
        "density": counts["density"],
        "top_class": max(rates, key=lambda name: rates[name]) if rates else "",
    } | {f"n_{name}": len(places) for name, places in one["contexts"].items()}
    for scorer in scorers:
        score = one["scores"].get(scorer)
        low, high = (score and score["interval"]) or (None, None)
        shuffled = _shuffled(one, scorer)
        row |= {f"score:{scorer}": score and score["value"], f"low:{scorer}": low, f"high:{scorer}": high}
        row |= {f"shuffled:{scorer}": shuffled}
    return row
