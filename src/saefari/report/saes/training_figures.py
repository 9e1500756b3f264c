"""The figures of a report on trained SAEs; here those of training and of densities."""

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
from saefari.report.saes.style import count_log, cut, in_order, place_of, places_of, plain, style_of, title_of
from saefari.store import SaeDensity, TrainedSae, density_gap, read_density, training_curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DASHES = ("-", "--", ":", "-.")
_CURVES = {"fvu": "FVU", "l0": "L0", "dead": "dead fraction"}
_MOST_COLUMNS, _BINS = 4, 40

Drawing = Callable[["Figure", Any], None]
Curves = dict[str, list[float]]
Gap = tuple[float, float] | None


def draw_saes(
    folder: Path, trained: Sequence[TrainedSae], saes: Sequence[Row], scores: Sequence[Row], best: Sequence[Row]
) -> None:
    """Write every figure that there is something to draw for; one of an earlier report that would be empty goes.

    saes, scores: of `sae_rows` and `score_rows`, saes in the order of `trained`. best: of `best_settings`, for the
    baselines. Raises StoreError when a figure cannot be written; densities that cannot be read are logged.
    """
    both = sorted(zip(saes, trained, strict=True), key=lambda pair: in_order(pair[0]))
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
    """Those with an FVU, and an L0 that has a logarithm."""
    return [row for row in rows if row["l0"] and row["fvu"] is not None]


def _density(sae: TrainedSae) -> SaeDensity | None:
    try:
        density = read_density(sae.folder)
    except StoreError as error:
        logger.warning("%s", error)
        return None
    return density if density.n_positions else None


def _draw_curves(figure: Figure, content: Sequence[tuple[Row, Curves]]) -> None:
    """FVU, L0 and dead fraction while training: a line per SAE, a column of panels per model and layer."""
    from matplotlib.ticker import EngFormatter

    places = places_of(row for row, _ in content)
    looks = _looks([row for row, _ in content])
    figure.set_size_inches(2.6 + 4.2 * len(places), max(6.6, 0.6 + 0.17 * len(looks)))
    grid = figure.subplots(len(_CURVES), len(places), sharex="col", sharey="row", squeeze=False)
    for row, curves in content:
        colour, dash = looks[row["architecture"], row["name"]]
        for name, axes in zip(_CURVES, grid[:, places.index(place_of(row))], strict=True):
            if name in curves:
                axes.plot(curves["positions"], curves[name], color=colour, linestyle=dash, linewidth=1.1)
    for place, axes in zip(places, grid[0], strict=True):
        axes.set_title(title_of(place), fontsize=10)
    for axes in grid[-1]:
        axes.set_xlabel("positions trained on")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    for title, axes in zip(_CURVES.values(), grid[:, 0], strict=True):
        axes.set_ylabel(title)
    grid[0, 0].set_ylim(0, 1.05)  # 1: no better than the mean; the first steps may be far above
    count_log(grid[1, 0], "y")
    grid[2, 0].set_ylim(bottom=0)
    plain(*grid.flat)
    figure.legend(handles=_keys(looks), loc="outside right upper", fontsize=7, frameon=False)


def _looks(rows: Sequence[Row]) -> dict[tuple[str, str], tuple[Any, Any]]:
    """(colour, dash) of each (architecture, name): shades of the architecture's colour, and dashes in turn."""
    from matplotlib.colors import to_rgb

    looks: dict[tuple[str, str], tuple[Any, Any]] = {}
    for architecture in sorted({row["architecture"] for row in rows}):
        names = list(dict.fromkeys(row["name"] for row in rows if row["architecture"] == architecture))
        colour = np.array(to_rgb(style_of(architecture)[0]))
        for i, name in enumerate(names):
            white = 0.55 * i / max(len(names) - 1, 1)
            looks[architecture, name] = tuple(colour + white * (1 - colour)), _DASHES[i % len(_DASHES)]
    return looks


def _keys(looks: dict[tuple[str, str], tuple[Any, Any]]) -> list[Any]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=colour, linestyle=dash, linewidth=1.2, label=cut(name))
        for (_, name), (colour, dash) in looks.items()
    ]


def _draw_densities(figure: Figure, content: Sequence[tuple[Row, Gap, SaeDensity]]) -> None:
    """A histogram of log10 density per SAE, and the gap that sets the ultra-low-density latents apart."""
    n_columns = min(len(content), _MOST_COLUMNS)
    n_rows = -(-len(content) // n_columns)
    figure.set_size_inches(max(4.8, 3.0 * n_columns), 0.4 + 2.3 * n_rows)
    rarest = max(density.n_positions for *_, density in content)
    edges = np.linspace(-np.log10(rarest), 0, _BINS + 1)
    for number, (row, gap, density) in enumerate(content, start=1):
        axes = figure.add_subplot(n_rows, n_columns, number)
        active = density.log10[np.isfinite(density.log10)]
        axes.hist(active, bins=edges.tolist(), color=style_of(row["architecture"])[0])
        said = f"{1 - len(active) / len(density.log10):.1%} never active"
        if gap is not None:
            axes.axvspan(*gap, color="grey", alpha=0.35, linewidth=0)
            said += f"\n{row['ultra_low_density'] or 0:.1%} below the gap"
        axes.text(0.98, 0.96, said, transform=axes.transAxes, ha="right", va="top", fontsize=6.5)
        axes.set(xlim=(edges[0], 0), ylim=(0, 1.3 * axes.get_ylim()[1]))  # room for what is said
        axes.set_title(f"{title_of(place_of(row))}\n{cut(row['name'])}", fontsize=7.5)
        axes.tick_params(labelsize=7)
        plain(axes)
    figure.supxlabel("log10 share of positions", fontsize=9)
    figure.supylabel("latents", fontsize=9)
