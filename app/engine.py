"""The app's door to code that computes: imported on first use, since it takes seconds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.shared.data.images.upload import check_image
from app.shared.data.memory import written_ns
from app.shared.data.results import read_record
from saefari.store.layout import MANIFEST, RESULTS, SAMPLES_RECORD

if TYPE_CHECKING:
    from saefari.classify.decisions import Decision, StoredClassifier
    from saefari.pipeline.live.predict import LivePrediction
    from saefari.store import Layout


def decide_rows(folder: Path, classifier: str, samples: Path, rows: Sequence[int]) -> list[Decision]:
    """What a stored classifier says of stored rows, and why; in their order.

    folder: of the setting's results. samples: of the dataset split that holds the rows, numbered as in the dataset.
    Raises StoreError where the classifier or the rows are not stored.
    """
    return _decide_rows(folder, classifier, samples, tuple(rows), _written(folder, samples))


def features_of_rows(folder: Path, classifier: str, samples: Path, rows: Sequence[int]) -> Any:
    """What a setting makes of stored rows, [n_rows, n_features], dense or sparse, before any scaling.

    Raises StoreError as `decide_rows` does.
    """
    from saefari.classify.decisions import stored_features

    stored = _classifier(folder, classifier, _written(folder, samples))
    features = stored_features(stored, samples, rows)
    return stored.estimator[:2].transform(features) if stored.source == "tfidf" else features


def predict(layout: Layout, folder: Path, classifier: str, text: str) -> LivePrediction:
    """What a classifier of a result says of a new text, computed as the pipeline would. The first use loads the model.

    Raises SaefariError where that cannot be done: no estimator, no model or SAE on this machine, a random control.
    """
    from saefari.pipeline.live.predict import predict_text

    return predict_text(layout, folder, classifier, text)


def predict_image(layout: Layout, folder: Path, classifier: str, content: bytes, text: str | None) -> LivePrediction:
    """The same of a new image, encoded, with a text where the model reads one beside it.

    Raises SaefariError also where the content is no image, or too large a one.
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
    """`written` is only there to tell an older content of the same files apart."""
    from saefari.classify.decisions import load_classifier

    return load_classifier(folder, name)


def _written(folder: Path, samples: Path) -> tuple[int, ...]:
    """When the result and what it reads were written, in ns; 0 = not there."""
    place = read_record(folder).get("features")
    paths = [folder / RESULTS, samples / SAMPLES_RECORD, *([samples / place / MANIFEST] if place else [])]
    return tuple(map(written_ns, paths))
