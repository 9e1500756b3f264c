"""The report on explanations as text, for the end of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from saefari.errors import readable
from saefari.report.explanations.tables import ExplainedSaeRecord
from saefari.report.results.summary import Row, best_settings, format_table
from saefari.store import Explanation, Layout, read_explanation, read_result, read_summary, task_name
from saefari.store.results import TASK

_PER_CLASS, _BEST, _NAME = 3, 3, 46
_FEWEST = 5
"""Least number of latents for the interval of a mean: that of fewer is wider than the range of most scores."""
_CONTROLS = {"shuffled": "shuffled explanations", "random_sae": "random SAE"}


def explanation_text(layout: Layout, explained: Sequence[ExplainedSaeRecord]) -> str:
    """Return scores with controls, the best and worst explained latents, and named latents of each class."""
    title = "Explanations of latents (mean scores and 95% intervals over latents):"
    parts = ["\n".join([title, *(line for sae in explained for line in _sae_lines(sae))])]
    parts += _class_tables(layout)
    return "\n\n".join(parts)


def _sae_lines(sae: ExplainedSaeRecord) -> list[str]:
    record = sae.record
    explainers = sorted({str(latent["explainer"]) for latent in sae.latents})
    named = f"{len(sae.latents):,} {'latent' if len(sae.latents) == 1 else 'latents'} named"
    lines = [f"  {sae.title} of {sae.model}: {named} ({', '.join(explainers) or 'none'})"]
    if too_few := record.get("too_few"):
        lines[0] += f"; {len(too_few):,} active in too few rows"
    failures = record.get("failures") or []
    for word, possible in (("FAILED", True), ("not possible", False)):
        if some := [one for one in failures if one.get("is_possible", True) == possible]:
            steps = "step" if len(some) == 1 else "steps"
            lines[0] += f"; {len(some):,} {steps} {word}, the first: {some[0]['step']}: {some[0]['reason']}"
    for scorer, summary in record.get("scores", {}).items():
        controls = [f"{name} {_mean(summary[key])}" for key, name in _CONTROLS.items() if summary.get(key)]
        lines.append("; ".join([f"    {scorer} {_mean(summary)}, chance {summary['chance']:.1f}", *controls]))
    lines += _extremes(sae)
    if cost := (record.get("usage") or {}).get("cost"):
        lines.append(f"    cost ${cost:.2f}")
    return lines


def _extremes(sae: ExplainedSaeRecord) -> list[str]:
    """Lines on the best and worst explained latents by the first scorer."""
    if not sae.scorers:
        return []
    key = f"score:{sae.scorers[0]}"
    scored = sorted((one for one in sae.latents if one.get(key) is not None), key=lambda one: -one[key])
    if len(scored) < 2 * _BEST:
        return []
    return [
        f"    {word}: " + "; ".join(f"{_plain(one['name'])} ({one['latent']}, {one[key]:.2f})" for one in part)
        for word, part in (("best", scored[:_BEST]), ("worst", scored[: -_BEST - 1 : -1]))
    ]


def _mean(summary: dict[str, Any]) -> str:
    interval = summary.get("interval") if summary["n"] >= _FEWEST else None
    return f"{summary['mean']:.3f}" + (f" ({interval[0]:.3f}-{interval[1]:.3f})" if interval else "")


def _class_tables(layout: Layout) -> list[str]:
    """Tables of the named latents of each class, from the best probe on SAE features of each task."""
    rows: list[Row] = read_summary(layout.summary).astype(object).to_dict("records") if layout.summary.exists() else []
    known = [row | {"cv_macro_f1": _number(row["cv_macro_f1"])} for row in rows if row["source"] == "sae"]
    best: dict[tuple[str, ...], Row] = {}
    for row in sorted(best_settings(one for one in known if one["classifier"] == "linear"), key=_negative_cv):
        best.setdefault(tuple(str(row[column]) for column in TASK), row)
    tables = (_class_table(layout, task, row) for task, row in best.items())
    return [table for table in tables if table]


def _class_table(layout: Layout, task: tuple[str, ...], row: Row) -> str:
    folder = layout.classifications / row["folder"]
    model = Path(row["folder"]).parts[0]
    explanations = layout.explanation(model, int(row["layer"]), str(row["width"]))
    top: dict[str, list[dict[str, Any]]] = read_result(folder)["classifiers"]["linear"]["top_features"]
    lines = [["class", "latents that speak for it (number, score)"]]
    any_named = False
    for name, features in top.items():
        chosen = [int(one["feature"]) for one in features if one["direction"] == "for"][:_PER_CLASS]
        found = {latent: read_explanation(explanations, latent) for latent in chosen}
        any_named |= any(found.values())
        lines.append([readable(name), "; ".join(_named(latent, one) for latent, one in found.items())])
    title = (
        f"{task_name(task)}: layer {row['layer']} {row['width']}, linear probe (CV macro-F1 {row['cv_macro_f1']:.3f})"
    )
    return f"{title}\n\n{format_table(lines)}" if any_named else ""


def _named(latent: int, explanation: Explanation | None) -> str:
    if explanation is None:
        return f"latent {latent}"
    plain = _plain(explanation.name)
    name = plain if len(plain) <= _NAME else f"{plain[:_NAME]}…"
    score = explanation.score.rsplit(" ", 1)[-1] if explanation.scores else "not scored"
    return f"{name} ({latent}, {score}{', below control' if explanation.is_below_controls else ''})"


def _plain(name: str) -> str:
    """Return a name without line breaks and control characters, which other programs may have written."""
    return "".join(character for character in " ".join(name.split()) if character.isprintable())


def _number(value: Any) -> float | None:
    return None if value is None or value != value else float(value)


def _negative_cv(row: Row) -> float:
    return -float(row["cv_macro_f1"])
