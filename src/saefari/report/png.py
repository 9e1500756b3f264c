"""Write figures as PNG files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from saefari.store.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@contextmanager
def png(path: Path) -> Iterator[Figure]:
    """Yield an empty figure; if the block succeeds, write it to `path` atomically.

    The bytes depend only on what was drawn. Raises StoreError if the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    FigureCanvasAgg(figure)
    yield figure
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120, metadata={"Software": None})
