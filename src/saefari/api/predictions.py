"""Tables of predictions for stored rows and for new texts and images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from saefari.errors import DataError
from saefari.store import Layout

if TYPE_CHECKING:
    from saefari.pipeline.live.predict import LivePrediction


def prediction_table(
    classes: Sequence[str], predicted: Sequence[str] | np.ndarray, probabilities: np.ndarray, index: pd.Index[Any]
) -> pd.DataFrame:
    """Return predicted and one column `probability:<class>` per class; probabilities: [n, K]."""
    columns = {f"probability:{name}": probabilities[:, k] for k, name in enumerate(classes)}
    return pd.DataFrame({"predicted": predicted, **columns}, index=index)


def predict(
    layout: Layout,
    folder: Path,
    classifier: str,
    classes: Sequence[str],
    texts: Sequence[str] | None,
    images: Sequence[str | Path] | None,
    model: str | None,
) -> pd.DataFrame:
    """Classify new texts, images or pairs of both; see `Result.predict`."""
    n = _check_items(texts, images)
    index = texts.index if isinstance(texts, pd.Series) else pd.RangeIndex(n)
    items = zip([None] * n if texts is None else texts, [None] * n if images is None else images, strict=True)
    answers = [
        _predict_one(layout, folder, classifier, number, text, image, model)
        for number, (text, image) in enumerate(items)
    ]
    probabilities = np.asarray([answer.probabilities for answer in answers]).reshape(n, len(classes))
    return prediction_table(classes, [classes[k] for k in probabilities.argmax(axis=1)], probabilities, index)


def _predict_one(
    layout: Layout,
    folder: Path,
    classifier: str,
    number: int,
    text: str | None,
    image: str | Path | None,
    model: str | None,
) -> LivePrediction:
    from saefari.data.images import BadImage
    from saefari.pipeline.live.predict import predict_image, predict_text

    if image is None:
        return predict_text(layout, folder, classifier, str(text), model)
    try:
        return predict_image(layout, folder, classifier, Path(image).read_bytes(), text, model)
    except OSError as error:
        raise DataError(f"images[{number}]: {str(image)!r} cannot be read ({error.strerror or error})") from None
    except BadImage as error:
        raise BadImage(f"images[{number}], {str(image)!r}: {error}") from None


def _check_items(texts: Sequence[str] | None, images: Sequence[str | Path] | None) -> int:
    """Return the number of items. Raises TypeError or ValueError for invalid arguments."""
    for name, items, kinds in (("texts", texts, (str,)), ("images", images, (str, Path))):
        if items is None:
            continue
        if isinstance(items, (str, bytes, Path)):
            raise TypeError(f"{name}: expected a list, not a single {type(items).__name__}: give [{name[:-1]}]")
        for number, item in enumerate(items):
            if not isinstance(item, kinds):
                raise TypeError(f"{name}[{number}]: expected {kinds[0].__name__}, not {type(item).__name__}: {item!r}")
    if texts is None and images is None:
        raise TypeError("give texts, images, or both")
    if texts is not None and images is not None and len(texts) != len(images):
        raise ValueError(f"{len(texts)} texts and {len(images)} images: give one text for each image, or none")
    return len(texts if texts is not None else images or ())
