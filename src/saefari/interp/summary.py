"""The record and the table of an SAE's explanations: mean scores beside their controls, and one row per latent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pyarrow as pa

from saefari.interp.scorers.scorer import Scorer
from saefari.interp.scorers.statistics import mean, mean_difference, spearman
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
            if (summary := _scores(explained, scorer, random_scores.get(scorer.name)))
        },
        "spearman": {
            f"{one}, {other}": spearman(*_pairs(explained, one, other)).record()
            for one, other in combinations(names, 2)
            if len(_pairs(explained, one, other)[0]) > 2
        },
        "warnings": [],
        **more,
    }
    write_json(folder / SUMMARY_RECORD, record)
    return record


def _scores(explained: Sequence[Record], scorer: Scorer, random_sae: Record | None) -> dict[str, Any] | None:
    """Summarise one scorer: mean with interval, controls, paired difference, correlation with firing rate."""
    scored = [one for one in explained if scorer.name in one["scores"]]
    if not scored:
        return None
    values = [one["scores"][scorer.name]["value"] for one in scored]
    summary = {"chance": scorer.chance, **mean(values).record()}
    paired = [
        (value, shuffled)
        for one, value in zip(scored, values, strict=True)
        if (shuffled := _shuffled(one, scorer.name)) is not None
    ]
    if paired:
        own, other = zip(*paired, strict=True)
        summary |= {"shuffled": mean(other).record(), "above_shuffled": mean_difference(own, other).record()}
    if random_sae:
        summary["random_sae"] = {key: random_sae[key] for key in ("mean", "interval", "n")}
    density = [one["counts"]["density"] for one in scored]
    summary["firing_rate_spearman"] = spearman(density, values).value
    return summary


def _shuffled(one: Record, scorer: str) -> float | None:
    control = one["scores"][scorer]["controls"].get("shuffled")
    return None if control is None else control["value"]


def _pairs(explained: Sequence[Record], one: str, other: str) -> tuple[list[float], list[float]]:
    """Return the scores of two scorers for the latents that have both."""
    both = [latent["scores"] for latent in explained if {one, other} <= set(latent["scores"])]
    return [scores[one]["value"] for scores in both], [scores[other]["value"] for scores in both]


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
        shuffled = _shuffled(one, scorer) if score else None
        row |= {f"score:{scorer}": score and score["value"], f"low:{scorer}": low, f"high:{scorer}": high}
        row |= {f"shuffled:{scorer}": shuffled}
    return row
