"""Scatter plots of SAEs: L0 against FVU, and CV macro-F1 against both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from saefari.report.results.summary import Row
from saefari.report.saes.comparison import task_of
from saefari.report.saes.point_labels import PointLabel, label_points
from saefari.report.saes.style import (
    ModelLayer,
    hide_frame,
    model_layer_of,
    model_layers,
    panel_title,
    rows_of,
    set_log_scale,
    short_name,
    shorten,
    style_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TITLES = {"l0": "L0: active latents per position", "fvu": "FVU", "cv_macro_f1": "CV macro-F1"}
_BASELINES = {"hidden": ("hidden states", "--"), "tfidf": ("TF-IDF", ":"), "pixels": ("raw pixels", "-.")}
_MOST_NAMED = 6

Panel = tuple["Axes", Sequence[Row], str, str]
"""Axes, their rows in the order in which names are placed, and the columns of x and y."""


def draw_pareto(figure: Figure, rows: Sequence[Row]) -> None:
    """Draw L0 against FVU, one panel per model and layer, with the Pareto front and names where there is room."""
    groups = model_layers(rows)
    n_columns = min(len(groups), 3)
    n_rows = -(-len(groups) // n_columns)
    figure.set_size_inches(max(5.2, 4.6 * n_columns), 0.5 + 4.0 * n_rows)
    panels: list[Panel] = []
    for number, model_layer in enumerate(groups, start=1):
        axes = figure.add_subplot(n_rows, n_columns, number)
        panel_rows = sorted(rows_of(rows, model_layer), key=lambda row: (row["on_front"] != "yes", row["l0"]))
        front = [row for row in panel_rows if row["on_front"] == "yes"]
        axes.plot([row["l0"] for row in front], [row["fvu"] for row in front], color="grey", linewidth=1, zorder=1)
        axes.set_title(panel_title(model_layer), fontsize=10)
        panels.append((axes, panel_rows, "l0", "fvu"))
    _draw_panels(figure, panels, [("Pareto front", "-")], len(rows))


def draw_f1(figure: Figure, rows: Sequence[Row], best: Sequence[Row]) -> None:
    """Draw CV macro-F1 against L0 and against FVU, two panels per dataset, model and layer.

    best: of `best_settings`. The best few SAEs of a panel are named where there is room.
    """
    pairs = sorted({(task_of(row), model_layer_of(row)) for row in rows})
    figure.set_size_inches(9.2, 0.6 + 3.4 * len(pairs))
    panels: list[Panel] = []
    of_task: dict[str, Axes] = {}
    for line, (task, model_layer) in enumerate(pairs):
        panel_rows = sorted(
            (row for row in rows_of(rows, model_layer) if task_of(row) == task), key=lambda row: -row["cv_macro_f1"]
        )
        for column, x in enumerate(("l0", "fvu"), start=1):
            axes = figure.add_subplot(len(pairs), 2, 2 * line + column, sharey=of_task.get(task))
            of_task.setdefault(task, axes)
            for height, linestyle in _baseline_lines(best, task, model_layer):
                axes.axhline(height, color="grey", linestyle=linestyle, linewidth=1)
            axes.set_title(f"{shorten(task)}\n{panel_title(model_layer)}", fontsize=10)
            panels.append((axes, panel_rows, x, "cv_macro_f1"))
    sources = {row["source"] for row in best}
    _draw_panels(figure, panels, [key for source, key in _BASELINES.items() if source in sources], _MOST_NAMED)


def _baseline_lines(best: Sequence[Row], task: str, model_layer: ModelLayer) -> list[tuple[float, Any]]:
    """Return (CV macro-F1, line style) of the baselines of a dataset and model."""
    return [
        (row["cv_macro_f1"], _BASELINES[row["source"]][1])
        for row in best
        if row["source"] in _BASELINES
        and task_of(row) == task
        and (not row["model"] or row["folder"].split("/")[0] == model_layer[0])
    ]


def _draw_panels(figure: Figure, panels: Sequence[Panel], lines: Sequence[tuple[str, Any]], most_named: int) -> None:
    """Draw points, axes, legend and, once the layout is final, names.

    lines: (name, line style) of the grey lines in the legend.
    """
    for axes, rows, x, y in panels:
        for row in rows:
            colour, marker = style_of(row["architecture"])
            axes.plot(
                row[x], row[y], marker, color=colour, markersize=5.5, markeredgecolor="white", markeredgewidth=0.5
            )
        if x == "l0":
            set_log_scale(axes, "x")
        axes.margins(0.12)
        axes.set(xlabel=_TITLES[x], ylabel=_TITLES[y])
        hide_frame(axes)
    _legend(figure, sorted({row["architecture"] for _, rows, *_ in panels for row in rows}), lines)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes, rows, x, y in panels:
        names = [PointLabel(row[x], row[y], short_name(row), style_of(row["architecture"])[0]) for row in rows]
        label_points(axes, names[:most_named], [(row[x], row[y]) for row in rows])


def _legend(figure: Figure, architectures: Sequence[str], lines: Sequence[tuple[str, Any]]) -> None:
    from matplotlib.lines import Line2D

    keys = []
    for name in architectures:
        colour, marker = style_of(name)
        keys.append(Line2D([], [], color=colour, marker=marker, linestyle="", label=name or "unknown architecture"))
    keys += [Line2D([], [], color="grey", linestyle=linestyle, linewidth=1, label=name) for name, linestyle in lines]
    figure.legend(handles=keys, loc="outside upper center", ncols=4, fontsize=8, frameon=False)
