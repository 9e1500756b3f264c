"""Live prediction: what a finished result says of a new text or image, computed just as the pipeline would have.

Whatever shaped the stored features is model_input from the records beside them; where that is not on this machine any more,
an error says so. Loaded models, SAEs and classifiers are kept for the next one.
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

_ONE_AT_A_TIME = Lock()  # hooks and an SAE's memory serve one question at a time, whatever threads a server has


@dataclass(frozen=True)
class LivePrediction:
    """A classifier's answer for a new text or image.

    classes: names, in the order of probabilities, float64 [K]. decision: the same, with its reasons.
    spans: int32 [n_valid, 2], the characters (start, end) of each position that counts; [0, 2] where no model reads.
    codes: [n_valid, d_sae], as stored ones would be; None for a source without an SAE.
    view, grid, patch: of an image, as samples.parquet has them (store.samples); None for a text.
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
    """What is to be classified: a text, or an encoded image with or without one."""

    text: str | None
    image: bytes | None = None


@dataclass(frozen=True)
class _ModelInput:
    """What was sample as a model reads it; reading: of an image."""

    spans: np.ndarray
    valid: np.ndarray
    model_input: Any
    reading: Reading | None = None


@dataclass(frozen=True)
class _Features:
    """What was sample as the classifier takes it."""

    features: Any
    spans: np.ndarray
    codes: sparse.csr_array | None = None
    reading: Reading | None = None


def predict_text(layout: Layout, folder: Path, classifier: str, text: str, model: str | None = None) -> LivePrediction:
    """Predict a text's class with one classifier ('linear', 'tree' or 'majority') of a setting's folder.

    model: where the model is, for a run that model_input it from an absolute path, which no stored file holds.
    Raises SaefariError: no such result or estimator; features made anew since; a model or SAE that is not on this
    machine, or not the one recorded; a random control, whose weights are not stored; a result of images.
    """
    return _predict(layout, folder, classifier, _NewSample(text), model)


def predict_image(
    layout: Layout, folder: Path, classifier: str, content: bytes, text: str | None, model: str | None = None
) -> LivePrediction:
    """Predict an encoded image's class, with a text beside it where the model reads one; see `predict_text`.

    Raises SaefariError also for what is no image that can be model_input.
    """
    return _predict(layout, folder, classifier, _NewSample(text, content), model)


def _predict(layout: Layout, folder: Path, classifier: str, sample: _NewSample, model: str | None) -> LivePrediction:
    stored = _classifier(layout, folder, classifier, _modification_times(layout, folder))
    if stored.features is None:
        seen = _Features(_features_without_model(stored, sample), np.zeros((0, 2), dtype=np.int32))
    else:
        with _ONE_AT_A_TIME:
            seen = _run_model(layout, stored, stored.features, sample, model)
    (decision,) = decide(stored, seen.features)
    answer = LivePrediction(stored.classes, decision.probabilities, decision, seen.spans, seen.codes)
    return answer if seen.reading is None else _with_image(answer, seen.reading)


def _with_image(answer: LivePrediction, reading: Reading) -> LivePrediction:
    from saefari.models.image_input import encode_view

    return replace(answer, view=encode_view(reading.view), grid=reading.grid, patch=reading.patch)


def _features_without_model(stored: StoredClassifier, sample: _NewSample) -> Any:
    """Features of a source that no model is run for."""
    if stored.source == "pixels":
        raise ModelError("raw pixels are those that a model sees, and which one is not stored: choose another result")
    return [sample.text or ""] if stored.source == "tfidf" else np.zeros((1, 1))


def _run_model(
    layout: Layout, stored: StoredClassifier, place: str, sample: _NewSample, model_name: str | None
) -> _Features:
    """Features from the model, and from the SAE where there is one."""
    from saefari.extract.shard_arrays import pool_ordinary
    from saefari.models.hooks import HookPoint
    from saefari.models.norms import outliers

    if stored.source == "random_sae":
        raise SaeError(
            "a random control cannot model_input anything new: its weights are drawn in the run and not stored"
        )
    samples = layout.activations / stored.result["samples"][0]
    manifest = Manifest.load(samples / place)
    record = read_json(samples / SAMPLES_RECORD)
    if manifest is None or record is None:
        raise StoreError(f"{samples / place} is not there: run `python run_experiments.py --extract-only`")
    labels, identity = stored.result["settings"], manifest.settings["model"]
    name = model_name or _trained_here(layout, labels["model"]) or labels["model"]
    model = live_model(labels["model_type"], name, identity["weights"], identity["dtype"])
    model_input = _read(model, labels["model_type"], sample, record["settings"])
    hook = HookPoint.parse(manifest.facts["hook"])
    states = model.capture([model_input.model_input], [hook])[hook][0][model_input.valid.astype(np.int64)].float()
    above = outliers(states, manifest.facts.get("norm_limit"))
    if stored.source == "hidden":
        pooled = pool_ordinary(states, np.asarray([len(states)]), above)[stored.setting.pooling]
        return _Features(pooled.cpu().numpy(), model_input.spans, reading=model_input.reading)
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
    features = features_of_codes(stored.setting, *codes.counted())
    return _Features(features, model_input.spans, codes.to_csr(), model_input.reading)


def _trained_here(layout: Layout, name: str) -> str | None:
    """The folder of a model of this name that a run trained, if there is one."""
    folder = layout.model(name)
    return str(folder) if Path(name).name == name and (folder / TRAINING_RECORD).is_file() else None


def _read(model: Any, model_type: ModelType, sample: _NewSample, settings: dict[str, Any]) -> _ModelInput:
    """What was sample, model_input as the stored samples were (settings: theirs)."""
    if model_type == "llm":
        if model.tokenizer.digest != settings["tokenizer"]:
            raise _other_reader("tokenizer", model)
        (tokens,) = model.tokenizer.with_bos(settings.get("prepend_bos")).tokenize(
            [sample.text or ""],
            settings["max_length"],
            settings["include_special_tokens"],
            settings.get("positions", "tokens"),
        )
        return _ModelInput(tokens.spans, tokens.valid, tokens.model_input)
    if sample.image is None:
        raise ModelError("this result's model reads images: give one")
    from saefari.data.images import ImageSource, decode_image
    from saefari.models.model_types import ReaderSpec

    text_rules = settings.get("max_length", 0), settings.get("include_special_tokens", False)
    reader = ReaderSpec(model_type, model.info.name, model.info.revision, settings["positions"], *text_rules).load()
    if reader.digest != settings["reader"]:
        raise _other_reader("image processor or tokenizer", model)
    reading = reader.read(decode_image(ImageSource("the image", sample.image)), sample.text)
    return _ModelInput(reading.spans, reading.valid, reading.model_input, reading)


def _other_reader(what: str, model: Any) -> ModelError:
    return ModelError(f"the {what} of model {model.info.name!r} is not the one that the stored samples were made with")


def _codes(sae: LoadedSae, states: torch.Tensor, above: np.ndarray | None) -> CodesShard:
    """Codes of one text, with the precision that stored ones have; above: its outliers, which have none."""
    from saefari.extract.shard_arrays import spread
    from saefari.saes.encode import encode

    if above is None:
        above = np.zeros(len(states), dtype=bool)
    codes = spread(encode(sae, states[~above]), above)
    offsets = np.asarray([0, codes.n_positions])
    arrays = codes_arrays(codes.indptr, codes.indices, codes.values, offsets, codes.d_sae)
    return CodesShard.from_arrays(0, arrays | {"outliers": np.flatnonzero(above)})


@lru_cache(maxsize=32)
def _classifier(layout: Layout, folder: Path, name: str, written: tuple[int, ...]) -> StoredClassifier:
    """`written` is only there to tell an older content of the same files apart."""
    stored = load_classifier(folder, name)
    if stored.features is not None:
        places = [layout.activations / sample for sample in stored.result["samples"]]
        settings = stored.result["settings"]
        inputs = inputs_fingerprint(places[0], places[1] if len(places) > 1 else None, stored.features)
        if inputs != settings["inputs"]:
            raise StoreError(
                f"{folder} was made from other features than {places[0] / stored.features} holds now: "
                "run `python run_experiments.py` again"
            )
    return stored


def _modification_times(layout: Layout, folder: Path) -> tuple[int, ...]:
    """When the result and the records of what it was made from were written, in ns; 0 = not there."""
    result = read_json(folder / RESULTS) or {}
    names = [SAMPLES_RECORD, SPLIT_RECORD]
    if result.get("features"):
        names.append(f"{result['features']}/{MANIFEST}")
    records = [layout.activations / sample / name for sample in result.get("samples", ()) for name in names]
    return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in (folder / RESULTS, *records))
