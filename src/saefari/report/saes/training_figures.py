"""Write the figures of the SAE report; draw training curves and density histograms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from saefari.errors import StoreError
from saefari.log import logger
from saefari.report.png import png
from saefari.report.results.summary import Row
from saefari.report.saes.scatter import draw_f1, draw_pareto
from saefari.report.saes.style import (
    hide_frame,
    model_layer_of,
    model_layers,
    panel_title,
    set_log_scale,
    shorten,
    sort_key,
    style_of,
)
from saefari.store import SaeDensity, TrainedSae, density_gap, read_density, training_curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LINE_STYLES = ("-", "--", ":", "-.")
_CURVES = {"fvu": "FVU", "l0": "L0", "dead": "dead fraction"}
_MOST_COLUMNS, _BINS = 4, 40

Drawing = Callable[["Figure", Any], None]
Curves = dict[str, list[float]]
Gap = tuple[float, float] | None


def draw_saes(
    folder: Path, trained: Sequence[TrainedSae], saes: Sequence[Row], scores: Sequence[Row], best: Sequence[Row]
) -> None:
    """Write every figure that has data; remove old figures that have none.

    saes, scores: of `sae_rows` and `score_rows`, saes in the order of `trained`. best: of `best_settings`, for the
    baselines. Raises StoreError if a figure cannot be written; densities that cannot be read are logged.
    """
    both = sorted(zip(saes, trained, strict=True), key=lambda pair: sort_key(pair[0]))
    drawings: dict[str, tuple[Drawing, Sequence[Any]]] = {
        "pareto": (draw_pareto, _comparable(saes)),
        "f1": (lambda figure, rows: draw_f1(figure, rows, best), _comparable(scores)),
        "curves": (_draw_curves, [(row, curves) for row, sae in both if (curves := training_curves(sae.record))]),
        "density": (
            _draw_densities,
            [(row, density_gap(sae.record), density) for row, sae in both if (density := _density(sae))],
        ),
    }
    for name, (draw, content) in drawings.items():
        path = folder / f"saes_{name}.png"
        if content:
            with png(path) as figure:
                draw(figure, content)
        else:
            path.unlink(missing_ok=True)


def _comparable(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with an FVU and a positive L0."""
    return [row for row in rows if row["l0"] and row["fvu"] is not None]


def _density(sae: TrainedSae) -> SaeDensity | None:
    try:
        density = read_density(sae.folder)
    except StoreError as error:
        logger.warning("%s", error)
        return None
    return density if density.n_positions else None


def _draw_curves(figure: Figure, content: Sequence[tuple[Row, Curves]]) -> None:
    """Draw FVU, L0 and dead fraction during training: a line per SAE, a column of panels per model and layer."""
    from matplotlib.ticker import EngFormatter

    groups = model_layers(row for row, _ in content)
    styles = _line_styles([row for row, _ in content])
    figure.set_size_inches(2.6 + 4.2 * len(groups), max(6.6, 0.6 + 0.17 * len(styles)))
    grid = figure.subplots(len(_CURVES), len(groups), sharex="col", sharey="row", squeeze=False)
    for row, curves in content:
        colour, linestyle = styles[row["architecture"], row["name"]]
        for name, axes in zip(_CURVES, grid[:, groups.index(model_layer_of(row))], strict=True):
            if name in curves:
                axes.plot(curves["positions"], curves[name], color=colour, linestyle=linestyle, linewidth=1.1)
    for model_layer, axes in zip(groups, grid[0], strict=True):
        axes.set_title(panel_title(model_layer), fontsize=10)
    for axes in grid[-1]:
        axes.set_xlabel("positions trained on")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    for title, axes in zip(_CURVES.values(), grid[:, 0], strict=True):
        axes.set_ylabel(title)
    grid[0, 0].set_ylim(0, 1.05)  # 1 = no better than the mean; the first steps may be far above
    set_log_scale(grid[1, 0], "y")
    grid[2, 0].set_ylim(bottom=0)
    hide_frame(*grid.flat)
    figure.legend(handles=_keys(styles), loc="outside right upper", fontsize=7, frameon=False)


def _line_styles(rows: Sequence[Row]) -> dict[tuple[str, str], tuple[Any, Any]]:
    """Return (colour, line style) of each (architecture, name): shades of the architecture's colour, cycling styles."""
    from matplotlib.colors import to_rgb

    styles: dict[tuple[str, str], tuple[Any, Any]] = {}
    for architecture in sorted({row["architecture"] for row in rows}):
        names = list(dict.fromkeys(row["name"] for row in rows if row["architecture"] == architecture))
        colour = np.array(to_rgb(style_of(architecture)[0]))
        for i, name in enumerate(names):
            white = 0.55 * i / max(len(names) - 1, 1)
            styles[architecture, name] = tuple(colour + white * (1 - colour)), _LINE_STYLES[i % len(_LINE_STYLES)]
    return styles


def _keys(styles: dict[tuple[str, str], tuple[Any, Any]]) -> list[Any]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=colour, linestyle=linestyle, linewidth=1.2, label=shorten(name))
        for (_, name), (colour, linestyle) in styles.items()
    ]


def _draw_densities(figure: Figure, content: Sequence[tuple[Row, Gap, SaeDensity]]) -> None:
    """Draw a histogram of log10 density per SAE, and the gap below which latents have ultra-low density."""
    n_columns = min(len(content), _MOST_COLUMNS)
    n_rows = -(-len(content) // n_columns)
    figure.set_size_inches(max(4.8, 3.0 * n_columns), 0.4 + 2.3 * n_rows)
    rarest = max(density.n_positions for *_, density in content)
    edges = np.linspace(-np.log10(rarest), 0, _BINS + 1)
    for number, (row, gap, density) in enumerate(content, start=1):
        axes = figure.add_subplot(n_rows, n_columns, number)
        active = density.log10[np.isfinite(density.log10)]
        axes.hist(active, bins=edges.tolist(), color=style_of(row["architecture"])[0])
        note = f"{1 - len(active) / len(density.log10):.1%} never active"
        if gap is not None:
            axes.axvspan(*gap, color="grey", alpha=0.35, linewidth=0)
            note += f"\n{row['ultra_low_density'] or 0:.1%} below the gap"
        axes.text(0.98, 0.96, note, transform=axes.transAxes, ha="right", va="top", fontsize=6.5)
        axes.set(xlim=(edges[0], 0), ylim=(0, 1.3 * axes.get_ylim()[1]))  # room for the note
        axes.set_title(f"{panel_title(model_layer_of(row))}\n{shorten(row['name'])}", fontsize=7.5)
        axes.tick_params(labelsize=7)
        hide_frame(axes)
    figure.supxlabel("log10 density (share of positions)", fontsize=9)
    figure.supylabel("latents", fontsize=9)
