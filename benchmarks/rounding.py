"""Predictions of a probe on pooled hidden states in float32 and as stored: all-MiniLM-L6-v2 on python-docs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import islice

import numpy as np
import torch

from saefari.config import DatasetSpec
from saefari.data.dataset import open_dataset
from saefari.extract.shard_arrays import pool
from saefari.models.forward import Forward
from saefari.models.hooks import HookPoint
from saefari.models.text_model import TextModel
from saefari.models.tokenizer import TextTokenizer
from saefari.store import TokenisedRow, compact_states

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
LAYERS = (1, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4000)
    flags = parser.parse_args()
    dataset = open_dataset(DatasetSpec(name="python-docs", text_field="text"), "train")
    examples = list(islice(dataset.rows(), flags.rows))
    labels = np.asarray([example.label or "" for example in examples])
    train = np.random.default_rng(0).random(len(labels)) < 0.5
    print(f"rows {len(labels)}, half of them to train; the other half:")
    for name, states in _pooled([example.text or "" for example in examples]).items():
        stored = compact_states(states)
        (before, exact), (after, rounded) = (_probe(x, labels, train) for x in (states, stored.astype(np.float32)))
        print(
            f"{name}: stored as {stored.dtype}, {100 * (before == after).mean():.2f}% equal predictions (goal: over "
            f"99.9%), macro-F1 {exact:.4f} in float32, {rounded:.4f} as stored",
            flush=True,
        )


def _pooled(texts: Sequence[str]) -> dict[str, np.ndarray]:
    """Return layer and pooling -> float32 [n_rows, d_model]."""
    tokens = TextTokenizer.load(MODEL).tokenize(list(texts), 128)
    rows = [TokenisedRow(t.input_ids, t.valid) for t in tokens]
    model = TextModel.load(MODEL, device="cpu")
    hooks = [HookPoint(layer, "resid_post") for layer in LAYERS]
    result = {
        f"layer {layer}, {how}": np.zeros((len(rows), model.d_model), dtype=np.float32)
        for layer in LAYERS
        for how in ("last", "mean")
    }
    for batch, counts, states in Forward(model, 4096)(rows, hooks):
        for hook in hooks:
            for how, pooled in pool(states[hook], torch.from_numpy(counts)).items():
                result[f"layer {hook.layer}, {how}"][batch] = pooled.numpy()
    return result


def _probe(features: np.ndarray, labels: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, float]:
    """Return a linear probe's predictions of its test rows, and their macro-F1."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(features[train])
    probe = LogisticRegression(C=0.01, max_iter=1000, tol=1e-6).fit(scaler.transform(features[train]), labels[train])
    predicted: np.ndarray = probe.predict(scaler.transform(features[~train]))
    return predicted, float(f1_score(labels[~train], predicted, average="macro"))


if __name__ == "__main__":
    main()
