"""Names of image latents: the classes of their images, and where in the image the active patches are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from saefari.interp.records import Context

_MOSTLY = 0.6
_LIFT = 1.5
_ROWS, _COLUMNS = ("upper", "middle", "lower"), ("left", "central", "right")


def describe_images(contexts: Sequence[Context], classes: Sequence[str]) -> tuple[str, str]:
    """Return the name and sentence of an image latent. classes: those it leans to."""
    where = _region(contexts)
    what = " and ".join(classes)
    kind = f"class{'es' if len(classes) > 1 else ''} {what}"
    if classes:
        name = f"{kind}, {where}" if where else kind
        return name, f"Images of {kind}, {where or 'in any part of the image'}."
    if where:
        return f"{where}, all classes", f"{where[0].upper()}{where[1:]}, in images of all classes."
    return "no common class or position", "Patches anywhere in images of all classes."


def _region(contexts: Sequence[Context]) -> str:
    """Return the part of the image in which most of the activation is: "upper left patches"; "" if there is none.

    Positions count by their activation; a part must hold 60% of it, and 1.5 times the share of the patches that it has.
    """
    active, present = np.zeros((3, 3)), np.zeros((3, 3))
    for context in contexts:
        if context.image is None:
            continue
        (n_rows, n_columns), cells = context.image.grid, context.image.patches
        for cell, activation in zip(cells.tolist(), context.activations.tolist(), strict=True):
            if cell >= 0:
                row, column = divmod(cell, n_columns)
                active[row * 3 // n_rows, column * 3 // n_columns] += activation
        every = np.arange(n_rows * n_columns)
        np.add.at(present, (every // n_columns * 3 // n_rows, every % n_columns * 3 // n_columns), 1)
    if active.sum() == 0:
        return ""
    active, present = active / active.sum(), present / present.sum()
    row, column = (_third(active.sum(axis=axis), present.sum(axis=axis)) for axis in (1, 0))
    if row is not None and column is not None:
        name = "centre" if (row, column) == (1, 1) else f"{_ROWS[row]} {_COLUMNS[column]}"
    elif row is not None:
        name = _ROWS[row]
    elif column is not None:
        name = _COLUMNS[column]
    else:
        return ""
    return f"{name} patches"


def _third(active: np.ndarray, present: np.ndarray) -> int | None:
    """Return the third of the image that holds most of the activation, if one does."""
    best = int(active.argmax())
    return best if active[best] >= _MOSTLY and active[best] >= _LIFT * present[best] else None
