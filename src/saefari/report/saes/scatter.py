"""SAEs as points: L0 against FVU, and what one classifies with them against both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from saefari.report.results.summary import Row
from saefari.report.saes.comparison import task_of
from saefari.report.saes.point_labels import PointLabel, label_points
from saefari.report.saes.style import (
    Place,
    count_log,
    cut,
    place_of,
    places_of,
    plain,
    rows_at,
    short_name,
    style_of,
    title_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TITLES = {"l0": "L0: active latents per position", "fvu": "FVU", "cv_macro_f1": "CV macro-F1"}
_BASELINES = {"hidden": ("hidden states", "--"), "tfidf": ("TF-IDF", ":"), "pixels": ("raw pixels", "-.")}
_MOST_NAMED = 6

Panel = tuple["Axes", Sequence[Row], str, str]
"""Axes, their rows with those first whose names matter most, and the names of their x and y."""


def draw_pareto(figure: Figure, rows: Sequence[Row]) -> None:
    """L0 against FVU, one panel per model and layer, with the front and the names that find room."""
    places = places_of(rows)
    n_columns = min(len(places), 3)
    n_rows = -(-len(places) // n_columns)
    figure.set_size_inches(max(5.2, 4.6 * n_columns), 0.5 + 4.0 * n_rows)
    panels: list[Panel] = []
    for number, place in enumerate(places, start=1):
        axes = figure.add_subplot(n_rows, n_columns, number)
        here = sorted(rows_at(rows, place), key=lambda row: (row["on_front"] != "yes", row["l0"]))
        front = [row for row in here if row["on_front"] == "yes"]
        axes.plot([row["l0"] for row in front], [row["fvu"] for row in front], color="grey", linewidth=1, zorder=1)
        axes.set_title(title_of(place), fontsize=10)
        panels.append((axes, here, "l0", "fvu"))
    _finish(figure, panels, [("Pareto front", "-")], len(rows))


def draw_f1(figure: Figure, rows: Sequence[Row], best: Sequence[Row]) -> None:
    """CV macro-F1 against L0 and against FVU, two panels per dataset, model and layer.

    best: of `best_settings`. The best few SAEs of a panel have names, as far as there is room.
    """
    pairs = sorted({(task_of(row), place_of(row)) for row in rows})
    figure.set_size_inches(9.2, 0.6 + 3.4 * len(pairs))
    panels: list[Panel] = []
    of_task: dict[str, Axes] = {}
    for line, (task, place) in enumerate(pairs):
        here = sorted(
            (row for row in rows_at(rows, place) if task_of(row) == task), key=lambda row: -row["cv_macro_f1"]
        )
        for column, x in enumerate(("l0", "fvu"), start=1):
            axes = figure.add_subplot(len(pairs), 2, 2 * line + column, sharey=of_task.get(task))
            of_task.setdefault(task, axes)
            for height, dash in _heights(best, task, place):
                axes.axhline(height, color="grey", linestyle=dash, linewidth=1)
            axes.set_title(f"{cut(task)}\n{title_of(place)}", fontsize=10)
            panels.append((axes, here, x, "cv_macro_f1"))
    sources = {row["source"] for row in best}
    _finish(figure, panels, [key for source, key in _BASELINES.items() if source in sources], _MOST_NAMED)


def _heights(best: Sequence[Row], task: str, place: Place) -> list[tuple[float, Any]]:
    """(CV macro-F1, dash) of the baselines of a dataset and model."""
    return [
        (row["cv_macro_f1"], _BASELINES[row["source"]][1])
        for row in best
        if row["source"] in _BASELINES
        and task_of(row) == task
        and (not row["model"] or row["folder"].split("/")[0] == place[0])
    ]


def _finish(figure: Figure, panels: Sequence[Panel], lines: Sequence[tuple[str, Any]], most_named: int) -> None:
    """Points, axes, legend and, once the layout is final, names. lines: (name, dash) of the legend's grey lines."""
    for axes, rows, x, y in panels:
        for row in rows:
            colour, mark = style_of(row["architecture"])
            axes.plot(row[x], row[y], mark, color=colour, markersize=5.5, markeredgecolor="white", markeredgewidth=0.5)
        if x == "l0":
            count_log(axes, "x")
        axes.margins(0.12)
        axes.set(xlabel=_TITLES[x], ylabel=_TITLES[y])
        plain(axes)
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
        colour, mark = style_of(name)
        keys.append(Line2D([], [], color=colour, marker=mark, linestyle="", label=name or "unknown architecture"))
    keys += [Line2D([], [], color="grey", linestyle=dash, linewidth=1, label=name) for name, dash in lines]
    figure.legend(handles=keys, loc="outside upper center", ncols=4, fontsize=8, frameon=False)
