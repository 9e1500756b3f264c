"""The image of a live answer, as the model saw it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from app.shared.data.images.picture import Picture
from app.shared.data.images.served import data_address

if TYPE_CHECKING:
    from saefari.pipeline.live.predict import LivePrediction


def live_picture(live: LivePrediction, name: str, is_vit: bool) -> Picture | None:
    """None where the answer is to a text, or the classifier sees no image.

    name: of the file. is_vit: whether a position before the patches is a vision transformer's class token.
    """
    if live.view is None:
        return None
    grid = live.grid or (1, 1)
    patch = live.patch
    places = np.full(len(live.spans), -1) if patch is None else np.asarray(patch, dtype=np.int64)
    begins = is_vit and len(places) > 0 and places[0] == -1
    return Picture(name, data_address(live.view), grid, places, bool(begins))
