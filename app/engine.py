"""The app's only access to code that computes. Heavy modules are imported on first use, which takes seconds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.shared.data.file_cache import written_ns
from app.shared.data.images.upload import check_image
from app.shared.data.results import read_record
from saefari.store.layout import MANIFEST, RESULTS, SAMPLES_RECORD

if TYPE_CHECKING:
    from saefari.classify.decisions import Decision, StoredClassifier
    from saefari.pipeline.live.predict import LivePrediction
    from saefari.store import Layout


def decide_rows(folder: Path, classifier: str, samples: Path, rows: Sequence[int]) -> list[Decision]:
    """Predict stored rows with a stored classifier and return one explained decision per row, in the given order.

    folder: the setting's results. samples: the dataset split that holds the rows; row numbers are the dataset's.
    Raises StoreError if the classifier or a row is not stored.
    """
    return _decide_rows(folder, classifier, samples, tuple(rows), _written(folder, samples))


def features_of_rows(folder: Path, classifier: str, samples: Path, rows: Sequence[int]) -> Any:
    """Compute a setting's unscaled features of stored rows, [n_rows, n_features], dense or sparse.

    Raises StoreError as `decide_rows` does.
    """
    from saefari.classify.decisions import stored_features

    stored = _classifier(folder, classifier, _written(folder, samples))
    features = stored_features(stored, samples, rows)
    return stored.estimator[:2].transform(features) if stored.source == "tfidf" else features


def predict(layout: Layout, folder: Path, classifier: str, text: str) -> LivePrediction:
    """Predict a new text with a stored classifier, computed as in the pipeline. The first call loads the model.

    Raises SaefariError without a stored estimator, without the model or SAE on this machine, or for a random SAE.
    """
    from saefari.pipeline.live.predict import predict_text

    return predict_text(layout, folder, classifier, text)


def predict_image(layout: Layout, folder: Path, classifier: str, content: bytes, text: str | None) -> LivePrediction:
    """Predict a new image, given as file content, with a text if the model reads one beside the image.

    Raises SaefariError as `predict` does, and if the content is not an image or is too large.
    """
    check_image(content)
    from saefari.pipeline.live.predict import predict_image

    return predict_image(layout, folder, classifier, content, text)


@lru_cache(maxsize=256)
def _decide_rows(
    folder: Path, classifier: str, samples: Path, rows: tuple[int, ...], written: tuple[int, ...]
) -> list[Decision]:
    from saefari.classify.decisions import decide, stored_features

    stored = _classifier(folder, classifier, written)
    return decide(stored, stored_features(stored, samples, rows))


@lru_cache(maxsize=16)
def _classifier(folder: Path, name: str, written: tuple[int, ...]) -> StoredClassifier:
    """Load a classifier. `written` invalidates the cache when the files change."""
    from saefari.classify.decisions import load_classifier

    return load_classifier(folder, name)


def _written(folder: Path, samples: Path) -> tuple[int, ...]:
    """Modification times (ns) of the result and of the files it reads; 0 for a missing file."""
    place = read_record(folder).get("features")
    paths = [folder / RESULTS, samples / SAMPLES_RECORD, *([samples / place / MANIFEST] if place else [])]
    return tuple(map(written_ns, paths))
