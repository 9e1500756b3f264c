"""Predict the class of a new text or image with a stored result, through the same steps as the pipeline.

Settings are read from the records of the stored features. Loaded models, SAEs and classifiers are cached.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from saefari.classify.decisions import Decision, StoredClassifier, decide, features_of_codes, load_classifier
from saefari.errors import ModelError, SaeError, StoreError
from saefari.pipeline.execute.classify_jobs import inputs_fingerprint
from saefari.pipeline.live.load import live_model, live_sae
from saefari.store import CodesShard, Layout, Manifest, codes_arrays
from saefari.store.files import read_json
from saefari.store.layout import MANIFEST, RESULTS, SAMPLES_RECORD, SPLIT_RECORD, TRAINING_RECORD

if TYPE_CHECKING:
    import torch

    from saefari.config import ModelType
    from saefari.models.image_input import Reading
    from saefari.saes.load import LoadedSae

_ONE_AT_A_TIME = Lock()  # model hooks and SAE buffers are not thread-safe


@dataclass(frozen=True)
class LivePrediction:
    """A classifier's prediction for a new text or image.

    classes: names, in the order of probabilities, float64 [K]. decision: the prediction with its explanation.
    spans: int32 [n_valid, 2], characters (start, end) of each position that counts; [0, 2] without a model.
    codes: [n_valid, d_sae], in the precision of stored codes; None for a source without an SAE.
    view, grid, patch: of an image, as in samples.parquet (store.samples); None for a text.
    """

    classes: list[str]
    probabilities: np.ndarray
    decision: Decision
    spans: np.ndarray
    codes: sparse.csr_array | None
    view: bytes | None = None
    grid: tuple[int, int] | None = None
    patch: np.ndarray | None = None


@dataclass(frozen=True)
class _NewSample:
    """The sample to classify: a text, or an encoded image with or without a text."""

    text: str | None
    image: bytes | None = None


@dataclass(frozen=True)
class _Preprocessed:
    """A sample as input of a model. reading: for an image."""

    spans: np.ndarray
    valid: np.ndarray
    model_input: Any
    reading: Reading | None = None


@dataclass(frozen=True)
class _Features:
    """A sample as input of the classifier."""

    features: Any
    spans: np.ndarray
    codes: sparse.csr_array | None = None
    reading: Reading | None = None


def predict_text(layout: Layout, folder: Path, classifier: str, text: str, model: str | None = None) -> LivePrediction:
    """Predict a text's class with one classifier ('linear', 'tree' or 'majority') of a setting's folder.

    model: folder of the model, if the run loaded it from an absolute path, which is not recorded.
    Raises SaefariError if there is no such result or estimator; if the features were extracted again since; if the
    model or SAE is not on this machine or has other weights; for a random control, whose weights are not stored; and
    for a result on images.
    """
    return _predict(layout, folder, classifier, _NewSample(text), model)


def predict_image(
    layout: Layout, folder: Path, classifier: str, content: bytes, text: str | None, model: str | None = None
) -> LivePrediction:
    """Predict the class of an encoded image, with a text if the model reads one; see `predict_text`.

    Also raises SaefariError for content that cannot be decoded as an image.
    """
    return _predict(layout, folder, classifier, _NewSample(text, content), model)


def _predict(layout: Layout, folder: Path, classifier: str, sample: _NewSample, model: str | None) -> LivePrediction:
    stored = _classifier(layout, folder, classifier, _modification_times(layout, folder))
    if stored.features is None:
        inputs = _Features(_features_without_model(stored, sample), np.zeros((0, 2), dtype=np.int32))
    else:
        with _ONE_AT_A_TIME:
            inputs = _run_model(layout, stored, stored.features, sample, model)
    (decision,) = decide(stored, inputs.features)
    prediction = LivePrediction(stored.classes, decision.probabilities, decision, inputs.spans, inputs.codes)
    return prediction if inputs.reading is None else _with_image(prediction, inputs.reading)


def _with_image(prediction: LivePrediction, reading: Reading) -> LivePrediction:
    from saefari.models.image_input import encode_view

    return replace(prediction, view=encode_view(reading.view), grid=reading.grid, patch=reading.patch)


def _features_without_model(stored: StoredClassifier, sample: _NewSample) -> Any:
    """Return the features of a source that needs no model."""
    if stored.source == "pixels":
        raise ModelError(
            "raw pixels depend on the image processor of a model, which is not recorded: choose another result"
        )
    return [sample.text or ""] if stored.source == "tfidf" else np.zeros((1, 1))


def _run_model(
    layout: Layout, stored: StoredClassifier, place: str, sample: _NewSample, model_name: str | None
) -> _Features:
    """Return features from the model and, if the source has one, the SAE."""
    from saefari.extract.shard_arrays import pool_without_outliers
    from saefari.models.hooks import HookPoint
    from saefari.models.norms import outliers

    if stored.source == "random_sae":
        raise SaeError("a random control cannot encode new samples, since its weights are not stored")
    samples = layout.activations / stored.result["samples"][0]
    manifest = Manifest.load(samples / place)
    record = read_json(samples / SAMPLES_RECORD)
    if manifest is None or record is None:
        raise StoreError(f"{samples / place} does not exist: run `python run_experiments.py --extract-only`")
    labels, identity = stored.result["settings"], manifest.settings["model"]
    name = model_name or _trained_here(layout, labels["model"]) or labels["model"]
    model = live_model(labels["model_type"], name, identity["weights"], identity["dtype"])
    inputs = _preprocess(model, labels["model_type"], sample, record["settings"])
    hook = HookPoint.parse(manifest.facts["hook"])
    states = model.capture([inputs.model_input], [hook])[hook][0][inputs.valid.astype(np.int64)].float()
    above = outliers(states, manifest.facts.get("norm_limit"))
    if stored.source == "hidden":
        pooled = pool_without_outliers(states, np.asarray([len(states)]), above)[stored.setting.pooling]
        return _Features(pooled.cpu().numpy(), inputs.spans, reading=inputs.reading)
    sae = live_sae(
        layout.saes,
        labels["layer"],
        labels["width"],
        manifest.settings["hook"],
        tuple(manifest.settings["sae"].items()),
        manifest.facts["weights_sha256"],
        str(model.device),
    )
    codes = _codes(sae, states, above)
    features = features_of_codes(stored.setting, *codes.without_outliers())
    return _Features(features, inputs.spans, codes.to_csr(), inputs.reading)


def _trained_here(layout: Layout, name: str) -> str | None:
    """Return the folder of a model of this name that a run trained, if there is one."""
    folder = layout.model(name)
    return str(folder) if Path(name).name == name and (folder / TRAINING_RECORD).is_file() else None


def _preprocess(model: Any, model_type: ModelType, sample: _NewSample, settings: dict[str, Any]) -> _Preprocessed:
    """Tokenise or preprocess the sample. settings: of the stored samples."""
    if model_type == "llm":
        if model.tokenizer.digest != settings["tokenizer"]:
            raise _other_reader("tokenizer", model)
        (tokens,) = model.tokenizer.with_bos(settings.get("prepend_bos")).tokenize(
            [sample.text or ""],
            settings["max_length"],
            settings["include_special_tokens"],
            settings.get("positions", "tokens"),
        )
        return _Preprocessed(tokens.spans, tokens.valid, tokens.model_input)
    if sample.image is None:
        raise ModelError("the model of this result reads images: give an image")
    from saefari.data.images import ImageSource, decode_image
    from saefari.models.model_types import ReaderSpec

    text_rules = settings.get("max_length", 0), settings.get("include_special_tokens", False)
    reader = ReaderSpec(model_type, model.info.name, model.info.revision, settings["positions"], *text_rules).load()
    if reader.digest != settings["reader"]:
        raise _other_reader("image processor or tokenizer", model)
    reading = reader.read(decode_image(ImageSource("the image", sample.image)), sample.text)
    return _Preprocessed(reading.spans, reading.valid, reading.model_input, reading)


def _other_reader(part: str, model: Any) -> ModelError:
    return ModelError(f"the {part} of model {model.info.name!r} differs from that of the stored samples")


def _codes(sae: LoadedSae, states: torch.Tensor, above: np.ndarray | None) -> CodesShard:
    """Encode the positions of one sample, in the precision of stored codes. above: outliers, which get no codes."""
    from saefari.saes.encode import encode, insert_outliers

    if above is None:
        above = np.zeros(len(states), dtype=bool)
    codes = insert_outliers(encode(sae, states[~above]), above)
    offsets = np.asarray([0, codes.n_positions])
    arrays = codes_arrays(codes.indptr, codes.indices, codes.values, offsets, codes.d_sae)
    return CodesShard.from_arrays(0, arrays | {"outliers": np.flatnonzero(above)})


@lru_cache(maxsize=32)
def _classifier(layout: Layout, folder: Path, name: str, written: tuple[int, ...]) -> StoredClassifier:
    """Load and cache a classifier. written: modification times, so that changed files are loaded again."""
    stored = load_classifier(folder, name)
    if stored.features is not None:
        places = [layout.activations / sample for sample in stored.result["samples"]]
        settings = stored.result["settings"]
        inputs = inputs_fingerprint(places[0], places[1] if len(places) > 1 else None, stored.features)
        if inputs != settings["inputs"]:
            raise StoreError(
                f"{folder} was made from other features than are now in {places[0] / stored.features}: "
                "run `python run_experiments.py` again"
            )
    return stored


def _modification_times(layout: Layout, folder: Path) -> tuple[int, ...]:
    """Return the modification times of the result and the records of its inputs, in ns; 0 = missing."""
    result = read_json(folder / RESULTS) or {}
    names = [SAMPLES_RECORD, SPLIT_RECORD]
    if result.get("features"):
        names.append(f"{result['features']}/{MANIFEST}")
    records = [layout.activations / sample / name for sample in result.get("samples", ()) for name in names]
    return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in (folder / RESULTS, *records))
