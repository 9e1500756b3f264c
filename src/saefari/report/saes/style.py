"""Shared style of the figures of SAEs: panels, colours, markers and names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from saefari.report.results.summary import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STYLES = {
    "standard": ("#0072B2", "o"),
    "gated": ("#56B4E9", "v"),
    "topk": ("#E69F00", "s"),
    "batchtopk": ("#D55E00", "D"),
    "matryoshka_batchtopk": ("#CC79A7", "^"),
    "jumprelu": ("#009E73", "P"),
}
_OTHER = ("#7F7F7F", "X")

ModelLayer = tuple[str, int]
"""(model, layer): SAEs with the same model and layer are compared in one panel."""


def style_of(architecture: str) -> tuple[str, str]:
    """Return (colour, marker); the colours are Okabe and Ito's palette for colour-blind readers."""
    return _STYLES.get(architecture, _OTHER)


def model_layer_of(row: Row) -> ModelLayer:
    return row["model"], row["layer"]


def model_layers(rows: Iterable[Row]) -> list[ModelLayer]:
    """Return the distinct (model, layer) of the rows, in panel order."""
    return sorted({model_layer_of(row) for row in rows})


def rows_of(rows: Iterable[Row], model_layer: ModelLayer) -> list[Row]:
    return [row for row in rows if model_layer_of(row) == model_layer]


def panel_title(model_layer: ModelLayer) -> str:
    """Return a panel's title, such as `small-model, layer 3`."""
    return f"{shorten(model_layer[0].rsplit('--', 1)[-1])}, layer {model_layer[1]}"


def short_name(row: Row) -> str:
    """Return an SAE's name without the architecture, which colour and marker show."""
    return shorten(row["name"].removeprefix(f"{row['architecture']}-"))


def shorten(name: str, letters: int = 34) -> str:
    """Return the end of a long name, which distinguishes the names of a sweep."""
    return name if len(name) <= letters else f"…{name[1 - letters :]}"


def sort_key(row: Row) -> tuple[ModelLayer, str, int, float, str]:
    """Sort key of panels and lines: by (model, layer), architecture, d_sae, L0 and name."""
    return model_layer_of(row), row["architecture"], row["d_sae"] or 0, row["l0"] or 0.0, row["name"]


def hide_frame(*all_axes: Axes) -> None:
    """Hide the top and right frame of the axes."""
    for axes in all_axes:
        axes.spines[["top", "right"]].set_visible(False)


def set_log_scale(axes: Axes, which: str) -> None:
    """Make an axis (x or y) logarithmic with plain numbers as ticks, even if it spans less than a decade."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())
