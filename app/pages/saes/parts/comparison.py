"""Sections that compare SAEs by reconstruction and by classification score."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, callback

from app.pages.saes.data.scores import baseline_scores, sae_scores, scored_datasets
from app.pages.saes.parts.comparison_figures import AGAINST, pareto_figure, scores_figure
from app.shared.data.sae_quality import RANDOM, main_measurement, quality_rows
from app.shared.data.saes import Sae
from app.shared.data.tree import Index, tree
from app.shared.labels import short_model
from app.shared.parts.figure import graph, opens_on_click
from app.shared.parts.page import notice, placeholder, section
from app.shared.parts.state import options_of, state_id
from app.shared.permalinks import chosen

CHOSEN = Input(state_id("sae"), "value")
"""The SAE that the page shows in detail."""


def quality_section(index: Index, shown: Sae | None, measured: str | None) -> Any:
    """L0 against FVU of the SAEs of one model and layer. shown: the SAE whose measurement sets the default rows."""
    names = list(dict.fromkeys(row["dataset"] for row in quality_rows(index.saes.values()) if row["dataset"]))
    main = main_measurement(shown) if shown else None
    default = main.dataset if main else next(iter(names), "")
    select = _select("measured", "Measured on", {name: name for name in names}, measured, default)
    line = "Lower left is better: less error with fewer active latents. Click a mark to select its SAE."
    return section("L0 against FVU", [select, placeholder("sae-pareto", 440)], line)


def scores_section(index: Index, scored: str | None, against: str | None) -> Any:
    """CV macro-F1 of every SAE on one dataset, against its L0 or FVU."""
    line = "Higher is better. Each mark is the SAE's best setting and classifier by cross-validation."
    datasets = scored_datasets(index)
    if not datasets:
        message = "There are no results of SAE features yet. Run `python run_experiments.py`."
        return section("Classification scores", [dmc.Text(message, size="sm")], line)
    selects = dmc.Group(
        [
            _select("scored", "Dataset", {name: name for name in datasets}, scored, datasets[0]),
            _select("against", "Against", AGAINST, against, "l0"),
        ]
    )
    return section("Classification scores", [selects, placeholder("sae-scores", 440)], line)


def _select(name: str, label: str, options: dict[str, str], requested: str | None, default: str) -> Any:
    return dmc.Select(
        id=state_id(name),
        label=label,
        data=options_of(options),
        value=chosen(requested, list(options), default),
        allowDeselect=False,
        w={"base": "100%", "sm": 220},
    )


@callback(Output("sae-pareto", "children"), Input(state_id("measured"), "value"), CHOSEN)
def _pareto(measured: str, sae_id: str | None) -> Any:
    index = tree().index()
    sae = index.saes.get(sae_id or "")
    if sae is None:
        return None
    same_layer = [one for one in index.saes.values() if (one.model, one.layer) == (sae.model, sae.layer)]
    rows = [
        row
        for row in quality_rows(same_layer)
        if row["dataset"] == measured and row["origin"] != RANDOM and row["l0"] and row["fvu"] is not None
    ]
    place = f"{short_model(sae.model)}, layer {sae.layer}"
    if not rows:
        return notice(f"No SAE of {place} was measured on {measured}.")
    label = f"L0 against FVU of the SAEs of {place}"
    return [
        dmc.Text(f"SAEs of {place}", size="sm"),
        graph("sae-pareto", pareto_figure(rows, sae.id, {"measured": measured}), label),
    ]


@callback(
    Output("sae-scores", "children"),
    Input(state_id("scored"), "value"),
    Input(state_id("against"), "value"),
    CHOSEN,
)
def _scores(scored: str, against: str, sae_id: str | None) -> Any:
    index = tree().index()
    found = sae_scores(index, scored)
    if not found:
        return notice(f"No SAE with results on {scored} has a measurement.")
    kept = {"scored": scored, "against": against}
    figure = scores_figure(found, baseline_scores(index, scored), against, sae_id or "", kept)
    return graph("sae-scores", figure, f"CV macro-F1 of every SAE on {scored}")


opens_on_click("sae-pareto", "/saes")
opens_on_click("sae-scores", "/saes")
