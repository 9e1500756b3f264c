"""Live prediction: what a finished result says of a new text, computed just as the pipeline would have.

Whatever shaped the stored features is read from the records beside them; where that is not on this machine any more,
an error says so. Loaded models, SAEs and classifiers are kept for the next text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from saefari.classify.inspect import Decision, StoredClassifier, decide, features_of_codes, load_classifier
from saefari.errors import ModelError, SaeError, StoreError
from saefari.fingerprint import file_sha256
from saefari.pipeline.stages import inputs_fingerprint
from saefari.store import CodesShard, Layout, Manifest, codes_arrays
from saefari.store.files import read_json
from saefari.store.layout import MANIFEST, RESULTS, SAMPLES_RECORD, SPLIT_RECORD

if TYPE_CHECKING:
    import torch

    from saefari.models.text import TextModel
    from saefari.models.tokenizer import Tokens
    from saefari.saes.load import LoadedSae

_DIGEST = re.compile(r"[0-9a-f]{64}")  # of a local model's files; a hub model is recorded by its commit
_ONE_AT_A_TIME = Lock()  # hooks and an SAE's memory serve one text at a time, whatever threads a server has


@dataclass(frozen=True)
class LivePrediction:
    """A classifier's answer for a new text.

    classes: names, in the order of probabilities, float64 [K]. decision: the same, with its reasons.
    spans: int32 [n_valid, 2], the characters (start, end) of each position that counts; [0, 2] where no model reads.
    codes: [n_valid, d_sae], as stored ones would be; None for a source without an SAE.
    """

    classes: list[str]
    probabilities: np.ndarray
    decision: Decision
    spans: np.ndarray
    codes: sparse.csr_array | None


@dataclass(frozen=True)
class _Seen:
    """A text as the classifier takes it."""

    features: Any
    spans: np.ndarray
    codes: sparse.csr_array | None = None


def predict_text(layout: Layout, folder: Path, classifier: str, text: str, model: str | None = None) -> LivePrediction:
    """Predict a text's class with one classifier ('linear', 'tree' or 'majority') of a setting's folder.

    model: where the model is, for a run that read it from an absolute path, which no stored file holds.
    Raises SaefariError: no such result or estimator; features made anew since; a model or SAE that is not on this
    machine, or not the one recorded; a random control, whose weights are not stored.
    """
    stored = _classifier(layout, folder, classifier, _written(layout, folder))
    if stored.features is None:
        features = [text] if stored.source == "tfidf" else np.zeros((1, 1))
        seen = _Seen(features, np.zeros((0, 2), dtype=np.int32))
    else:
        with _ONE_AT_A_TIME:
            seen = _read(layout, stored, stored.features, text, model)
    (decision,) = decide(stored, seen.features)
    return LivePrediction(stored.classes, decision.probabilities, decision, seen.spans, seen.codes)


def _read(layout: Layout, stored: StoredClassifier, place: str, text: str, model_name: str | None) -> _Seen:
    """The text's features from the model, and from the SAE where there is one."""
    from saefari.extract.shard import pool

    if stored.source == "random_sae":
        raise SaeError("a random control cannot read a new text: its weights are drawn in the run and not stored")
    samples = layout.activations / stored.result["samples"][0]
    manifest = Manifest.load(samples / place)
    record = read_json(samples / SAMPLES_RECORD)
    if manifest is None or record is None:
        raise StoreError(f"{samples / place} is not there: run `python run_experiments.py --extract-only`")
    labels, identity = stored.result["settings"], manifest.settings["model"]
    model = _model(model_name or labels["model"], identity["weights"], identity["dtype"])
    tokens, states = _states(model, text, record["settings"], manifest.facts["hook"])
    if stored.source == "hidden":
        pooled = pool(states, states.new_tensor([len(states)]).long())[stored.setting.pooling]
        return _Seen(pooled.cpu().numpy(), tokens.spans)
    sae = _sae(
        layout.saes,
        labels["layer"],
        labels["width"],
        manifest.settings["hook"],
        tuple(manifest.settings["sae"].items()),
        manifest.facts["weights_sha256"],
        str(model.device),
    )
    codes = _codes(sae, states)
    return _Seen(features_of_codes(stored.setting, codes.to_csr(), codes.offsets), tokens.spans, codes.to_csr())


def _states(model: TextModel, text: str, settings: dict[str, Any], hook_name: str) -> tuple[Tokens, torch.Tensor]:
    """The text's tokens, and float32 [n_valid, d_model] at the hook."""
    from saefari.models.hooks import HookPoint

    if model.tokenizer.digest != settings["tokenizer"]:
        raise ModelError(
            f"the tokenizer of model {model.info.name!r} is not the one that the stored samples were made with"
        )
    hook = HookPoint.parse(hook_name)
    (tokens,) = model.tokenize(
        [text], settings["max_length"], settings["include_special_tokens"], settings.get("positions", "tokens")
    )
    states = model.capture([tokens.input_ids], [hook])[hook][0]
    return tokens, states[tokens.valid.astype(np.int64)].float()


def _codes(sae: LoadedSae, states: torch.Tensor) -> CodesShard:
    """Codes of one text, with the precision that stored ones have."""
    from saefari.saes.encode import encode

    codes = encode(sae, states)
    offsets = np.asarray([0, codes.n_positions])
    return CodesShard.from_arrays(0, codes_arrays(codes.indptr, codes.indices, codes.values, offsets, codes.d_sae))


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


def _written(layout: Layout, folder: Path) -> tuple[int, ...]:
    """When the result and the records of what it was made from were written, in ns; 0 = not there."""
    result = read_json(folder / RESULTS) or {}
    names = [SAMPLES_RECORD, SPLIT_RECORD]
    if result.get("features"):
        names.append(f"{result['features']}/{MANIFEST}")
    records = [layout.activations / sample / name for sample in result.get("samples", ()) for name in names]
    return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in (folder / RESULTS, *records))


@lru_cache(maxsize=2)
def _model(name: str, weights: str, dtype: str) -> TextModel:
    """The model that a manifest records: `weights` is its commit on the hub, or a digest of its files."""
    from saefari.models.registry import describe, resolve_model
    from saefari.models.settings import model_settings
    from saefari.models.text import TextModel

    is_digest = _DIGEST.fullmatch(weights) is not None
    revision = None if is_digest else weights
    if is_digest and resolve_model(name)[1] == "hub":
        raise ModelError(
            f"model {name!r} was read from a folder, and where that lies on a machine is not recorded: "
            "give its path as the model"
        )
    describe(name, revision, reach_hub=False)  # a question about one text is no reason to fetch a model
    if model_settings(name, revision, dtype, "auto")["weights"] != weights:
        raise ModelError(f"model {name!r} has other weights than the stored features were made with ({weights[:12]}…)")
    return TextModel.load(name, revision, dtype)


@lru_cache(maxsize=2)
def _sae(
    saes: Path,
    layer: int,
    width: str,
    hook: str | None,
    recorded: tuple[tuple[str, str], ...],
    weights_sha256: str,
    device: str,
) -> LoadedSae:
    """The SAE that a manifest records: by its place in the catalogue, or by the digests of its files."""
    from saefari.saes.load import load_sae
    from saefari.saes.ref import SaeRef

    names = dict(recorded)
    if "release" in names:
        ref = SaeRef(layer, width, release=names["release"], sae_id=names["sae_id"], hook=hook)
    else:
        ref = SaeRef(layer, width, path=str(_folder_of(saes, recorded)), hook=hook)
    loaded = load_sae(ref, device)
    if loaded.weights_sha256 != weights_sha256:
        raise SaeError(f"{ref.title} has other weights than the stored codes were made with: run the extraction again")
    return loaded


def _folder_of(saes: Path, files: Sequence[tuple[str, str]]) -> Path:
    """The folder below `saes` whose files have these SHA-256."""
    for config in sorted(saes.rglob("cfg.json")):
        folder = config.parent
        if all((folder / name).is_file() and file_sha256(folder / name) == digest for name, digest in files):
            return folder
    raise SaeError(
        f"no SAE below {saes} is the one that the stored codes were made with, and where it lay is not recorded: "
        "copy its folder there, or, if it was trained anew since, run `python run_experiments.py` again"
    )
