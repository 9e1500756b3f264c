"""How SAEs look in every figure of a report: their panels, colours, marks and names."""

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

Place = tuple[str, int]
"""(model, layer): SAEs are compared where both are the same, one panel each."""


def style_of(architecture: str) -> tuple[str, str]:
    """(colour, mark). The colours are Okabe and Ito's, which colour-blind people can tell apart."""
    return _STYLES.get(architecture, _OTHER)


def place_of(row: Row) -> Place:
    return row["model"], row["layer"]


def places_of(rows: Iterable[Row]) -> list[Place]:
    """In the order of their panels."""
    return sorted({place_of(row) for row in rows})


def rows_at(rows: Iterable[Row], place: Place) -> list[Row]:
    return [row for row in rows if place_of(row) == place]


def title_of(place: Place) -> str:
    """`small-model, layer 3`."""
    return f"{cut(place[0].rsplit('--', 1)[-1])}, layer {place[1]}"


def short_name(row: Row) -> str:
    """An SAE's name without the architecture, which colour and mark say."""
    return cut(row["name"].removeprefix(f"{row['architecture']}-"))


def cut(name: str, letters: int = 34) -> str:
    """The end of a long name: it tells the names of a sweep apart."""
    return name if len(name) <= letters else f"…{name[1 - letters :]}"


def in_order(row: Row) -> tuple[Place, str, int, float, str]:
    """Key that sorts panels and lines: by place and architecture, the smallest and sparsest first."""
    return place_of(row), row["architecture"], row["d_sae"] or 0, row["l0"] or 0.0, row["name"]


def plain(*all_axes: Axes) -> None:
    """No frame above and to the right."""
    for axes in all_axes:
        axes.spines[["top", "right"]].set_visible(False)


def count_log(axes: Axes, which: str) -> None:
    """A logarithmic axis, x or y, of counts: its ticks read as numbers, also where it spans less than a decade."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())
