"""Figures of results that a notebook shows by itself."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from saefari.errors import StoreError, enumerated, nearest
from saefari.report.results.figures import draw_figure, figure_names


class NotebookFigure(Figure):
    """A matplotlib figure that IPython shows as an image, without pyplot and whatever its backend is."""

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        self.savefig(buffer, format="png", dpi=120)
        return buffer.getvalue()


def draw(record: dict[str, Any], classifier: str, what: str, folder: Path) -> Figure:
    """Draw one figure of a classifier. record: the content of results.json; folder: of the result, for messages.

    Raises StoreError where the result holds no such figure.
    """
    known = figure_names(record["classifiers"][classifier])
    if what not in known:
        raise StoreError(
            f"{folder}, {classifier}: there is no figure {what!r}{nearest(what, known)}; "
            f"figures: {enumerated(known) or 'none'}"
        )
    figure = NotebookFigure(layout="constrained")
    draw_figure(figure, record, classifier, what)
    return figure
