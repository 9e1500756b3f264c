"""Label the points of a figure where there is room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE = 6.5
_MARK = 5.0
"""Half the side of the square around a point that labels must not cover, in pixels."""
_PLACES = (
    (5, 0, "left", "center"), (-5, 0, "right", "center"), (0, 5, "center", "bottom"), (0, -5, "center", "top"),
    (5, 6, "left", "bottom"), (-5, -6, "right", "top"), (5, -6, "left", "top"), (-5, 6, "right", "bottom"),
)  # fmt: skip
"""Positions to try for a label: offset in typographic points, and the text edge to align there."""


@dataclass(frozen=True)
class PointLabel:
    """The name of a point at (x, y), in a dark shade of its colour."""

    x: float
    y: float
    name: str
    colour: str


def label_points(axes: Axes, labels: Sequence[PointLabel], points: Sequence[tuple[float, float]]) -> None:
    """Write each name beside its point unless it would cover a label or a point; earlier labels take precedence.

    points: all points of the axes. The figure's layout must be final, since positions are compared in pixels.
    """
    from matplotlib.colors import to_rgb
    from matplotlib.transforms import Bbox

    canvas: Any = axes.figure.canvas
    renderer = canvas.get_renderer()
    frame = axes.get_window_extent(renderer)
    centres = [axes.transData.transform(point) for point in points]
    taken = [Bbox.from_extents(x - _MARK, y - _MARK, x + _MARK, y + _MARK) for x, y in centres]
    for label in labels:
        dark = [0.6 * part for part in to_rgb(label.colour)]
        for right, up, horizontal, vertical in _PLACES:
            text = axes.annotate(
                label.name,
                (label.x, label.y),
                (right, up),
                textcoords="offset points",
                ha=horizontal,
                va=vertical,
                fontsize=_SIZE,
                color=dark,
            )
            box = text.get_window_extent(renderer)
            if frame.contains(box.x0, box.y0) and frame.contains(box.x1, box.y1) and not box.count_overlaps(taken):
                taken.append(box)
                break
            text.remove()
