"""Page SAEs: reconstruction quality, classification scores and densities of every SAE."""

from __future__ import annotations

from typing import Any

import dash
import dash_mantine_components as dmc
from dash import Output, callback, dcc

from app.pages.saes.parts.comparison import CHOSEN, quality_section, scores_section
from app.shared.data.defaults import default_sae
from app.shared.data.latents.usage import results_of
from app.shared.data.sae_quality import (
    Measurement,
    architecture,
    densities,
    main_measurement,
    n_latents,
    origin,
    quality_rows,
    settings_rows,
    warnings_of,
)
from app.shared.data.saes import Sae
from app.shared.data.tree import Index, tree
from app.shared.labels import result_title, sae_title, score
from app.shared.parts.figure import graph
from app.shared.parts.grid import grid, link_column, number_column, text_column
from app.shared.parts.page import figure_tile, notice, page, section
from app.shared.parts.sae_figures import density_histogram, training_figure
from app.shared.parts.sae_picker import sae_select
from app.shared.parts.state import state_id
from app.shared.permalinks import link
from saefari.store import training_curves

dash.register_page(__name__, path="/saes", name="SAEs")

_WORDS = [
    "SAE", "latent", "FVU", "L0", "Pareto front", "CV macro-F1", "dead", "dense", "density", "ultra-low density", "MSE",
    "L1", "cosine", "loss recovered", "held out", "explained variance",
]  # fmt: skip
_LINE = "Reconstruction quality and classification scores of every SAE in the output tree."
_MOST_RESULTS = 200


def layout(
    sae: str | None = None,
    measured: str | None = None,
    scored: str | None = None,
    against: str | None = None,
    **_: Any,
) -> Any:
    """Build the page from URL parameters. sae: id of the SAE shown in detail; by default that of the best result.

    measured: rows on which SAEs are compared. scored: dataset of the scores. against: `l0` or `fvu`.
    """
    index = tree().index()
    if not index.saes:
        message = "There are no SAEs yet. They appear here after `python run_experiments.py` or `saefari train-sae`."
        return page("SAEs", _LINE, _WORDS, [notice(message, "No SAEs yet")])
    unknown = sae is not None and sae not in index.saes
    shown = index.saes.get(sae or "") or default_sae(index)
    warning = [notice("There is no SAE with this id; another one is shown.", color="yellow")] if unknown else []
    details = dcc.Loading(dmc.Stack(id="sae-details", gap="md"), delay_show=300)
    return page(
        "SAEs",
        _LINE,
        _WORDS,
        [
            _all(index),
            dmc.SimpleGrid(
                [quality_section(index, shown, measured), scores_section(index, scored, against)],
                cols={"base": 1, "lg": 2},
            ),
            *warning,
            sae_select(state_id("sae"), index.saes.values(), shown),
            details,
        ],
    )


@callback(Output("sae-details", "children"), CHOSEN)
def _details(sae_id: str | None) -> Any:
    index = tree().index()
    sae = index.saes.get(sae_id or "")
    if sae is None:
        return notice("This SAE is not in the output tree any more. Choose another one.", color="yellow")
    return [
        *[notice(warning, "Warning", "orange") for warning in warnings_of(sae)],
        _tiles(sae),
        _links(sae),
        _density(sae),
        _training(sae),
        _results(index, sae),
        _settings(sae),
    ]


def _tiles(sae: Sae) -> Any:
    """Tiles of the SAE's main measurement; values that only training measures are shown if present."""
    one = main_measurement(sae) or Measurement("not measured yet", None, None, None, None, None)
    width, note = n_latents(sae), one.dataset
    tiles = [
        figure_tile(
            "latents", "–" if width is None else f"{width:,}", f"{origin(sae)}, {architecture(sae)}".rstrip(", ")
        ),
        figure_tile("FVU", score(one.fvu), note),
        figure_tile("explained variance", score(one.explained_variance), note),
        figure_tile("L0", _formatted(one.l0, ".1f"), note),
        figure_tile("dead latents", _formatted(one.dead_fraction, ".1%"), note),
        figure_tile("positions measured", _formatted(one.n_positions, ",.0f"), note),
        *[
            figure_tile(name, _formatted(value, digits), note)
            for name, value, digits in (
                ("MSE", one.mse, ".3g"),
                ("L1", one.l1, ".3g"),
                ("dense latents", one.dense_fraction, ".1%"),
                ("cosine", one.cosine, ".3f"),
                ("ultra-low-density latents", one.ultra_low_density, ".1%"),
                ("loss recovered", one.loss_recovered, ".1%"),
            )
            if value is not None
        ],
    ]
    return dmc.SimpleGrid(tiles, cols={"base": 2, "sm": 3, "lg": 6}, spacing="sm")


def _formatted(value: float | None, digits: str) -> str:
    return "–" if value is None else format(value, digits)


def _links(sae: Sae) -> Any:
    return dmc.Group(
        [
            dcc.Link("Latents of this SAE", href=link("/latents", sae=sae.id)),
            dcc.Link("Manifests (Health)", href="/health"),
        ]
    )


def _density(sae: Sae) -> Any:
    found, problems = densities(sae)
    content: list[Any] = [notice(problem, "Cannot be read", "orange") for problem in problems]
    if found:
        content.append(graph("sae-density", density_histogram(found), f"Densities of the latents of {sae_title(sae)}"))
    else:
        content.append(dmc.Text("The output tree has no densities of this SAE.", size="sm"))
    line = "Far left: latents that rarely fire. Far right: dense latents, which fire at nearly every position."
    return section("Densities of latents", content, line)


def _training(sae: Sae) -> Any:
    curves = training_curves(sae.quality)
    if curves is not None:
        return section("Training", [graph("sae-training", training_figure(curves), f"Training of {sae_title(sae)}")])
    reason = "This SAE was not trained in this tree" if sae.folder is None else "Its training recorded none"
    return section("Training", [dmc.Text(f"There are no training curves. {reason}.", size="sm")])


def _results(index: Index, sae: Sae) -> Any:
    found = results_of(sae, index)
    if found.empty:
        return section("Results of this SAE", [dmc.Text("None yet.", size="sm")])
    rows = [
        {
            "title": result_title(row),
            "dataset": row.task,
            "macro_f1": row.macro_f1,
            "cv_macro_f1": row.cv_macro_f1,
            "href": link("/run", run=row.run, classifier=row.classifier),
        }
        for row in found.head(_MOST_RESULTS).itertuples()
    ]
    columns = [
        link_column("title", "result", "href", width=520),
        text_column("dataset", width=260, tooltipField="dataset"),
        number_column("macro_f1", "macro-F1", 3, width=120),
        number_column("cv_macro_f1", "CV macro-F1", 3, width=130),
    ]
    more = f"The {_MOST_RESULTS} best of {len(found):,} by cross-validation." if len(found) > _MOST_RESULTS else ""
    return section("Results of this SAE", [grid("sae-results", columns, rows, height=280)], more)


def _settings(sae: Sae) -> Any:
    rows = settings_rows(sae)
    if not rows:
        return section("Settings", [dmc.Text("The output tree has no settings of this SAE.", size="sm")])
    columns = [
        text_column("part", width=120),
        text_column("setting", width=260),
        text_column("value", flex=1, minWidth=260, tooltipField="value"),
    ]
    return section("Settings", [grid("sae-settings", columns, rows, height=320)])


def _all(index: Index) -> Any:
    rows = [row | {"href": link("/saes", sae=row["sae"])} for row in quality_rows(index.saes.values())]
    columns = [
        link_column("title", "SAE", "href", width=360, tooltipField="title"),
        text_column("dataset", "measured on", width=230, tooltipField="dataset"),
        number_column("fvu", "FVU", 3, width=95),
        number_column("explained_variance", "explained variance", 3, width=190),
        number_column("l0", "L0", 1, width=90),
        number_column("dead_fraction", "dead fraction", 3, width=150),
        number_column("mse", "MSE", 4, width=95),
        number_column("l1", "L1", 2, width=90),
        number_column("dense_fraction", "dense fraction", 3, width=150),
        number_column("cosine", "cosine", 3, width=110),
        number_column("ultra_low_density", "ultra-low density", 3, width=170),
        number_column("loss_recovered", "loss recovered", 3, width=150),
        number_column("n_positions", "positions", 0, width=120),
        text_column("origin", width=130),
        text_column("architecture", width=130),
        number_column("d_sae", "latents", 0, width=110),
        text_column("model", width=220),
        number_column("layer", width=90),
        text_column("width", width=90),
    ]
    line = "One row per SAE and measured set of rows."
    return section("All SAEs", [grid("saes", columns, rows, height=300)], line)
