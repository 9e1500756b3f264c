"""Figures of results, with their own display in notebooks."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from saefari.errors import StoreError, enumerated, nearest
from saefari.report.results.figures import draw_figure, figure_names


class NotebookFigure(Figure):
    """A matplotlib figure that IPython displays as an image, without pyplot."""

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        self.savefig(buffer, format="png", dpi=120)
        return buffer.getvalue()


def draw(record: dict[str, Any], classifier: str, what: str, folder: Path) -> Figure:
    """Draw one figure of a classifier. record: the content of results.json; folder: of the result, for messages.

    Raises StoreError if the result has no such figure.
    """
    known = figure_names(record["classifiers"][classifier])
    if what not in known:
        raise StoreError(
            f"{folder}, {classifier}: figure {what!r} does not exist{nearest(what, known)}; "
            f"figures: {enumerated(known) or 'none'}"
        )
    figure = NotebookFigure(layout="constrained")
    draw_figure(figure, record, classifier, what)
    return figure
