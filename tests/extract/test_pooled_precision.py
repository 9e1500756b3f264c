"""Stored pooled hidden states against float32, by the predictions of probes."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.preprocessing import StandardScaler

from saefari.config import DatasetSpec
from saefari.data.dataset import open_dataset
from saefari.extract.shard_arrays import HiddenArrays, pool
from saefari.models.forward import Forward
from saefari.models.hooks import HookPoint
from saefari.models.text_model import TextModel
from saefari.models.tokenizer import TextTokenizer
from saefari.store import TokenisedRow

MODEL = "sentence-transformers/all-MiniLM-L6-v2"


def predictions(features: np.ndarray, labels: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Predict the other rows with a linear probe fitted on the training rows."""
    scaler = StandardScaler().fit(features[train])
    probe = LogisticRegression(C=0.01, max_iter=500, tol=1e-6)
    probe.fit(scaler.transform(features[train]), labels[train])
    predicted: np.ndarray = probe.predict(scaler.transform(features[~train]))
    return predicted


def test_a_large_mean_is_kept_in_float32_and_the_other_pooling_in_float16() -> None:
    """The precision is chosen per array."""
    hook = HookPoint(0, "resid_post")
    generator = torch.Generator().manual_seed(0)
    arrays = HiddenArrays(hook, keep_positions=False)
    hidden = torch.randn(40, 6, generator=generator)
    hidden[1::2, 3] += 3000  # the last position of each row
    hidden[::2, 3] -= 3000
    arrays.add(np.arange(20), np.full(20, 2), hidden)
    found = arrays.arrays()
    assert found["pooled_last"].dtype == np.float32
    assert found["pooled_mean"].dtype == np.float16
    np.testing.assert_array_equal(found["pooled_last"], hidden[1::2].numpy())


@pytest.mark.slow
def test_probes_on_real_texts_are_unchanged() -> None:
    examples = list(islice(open_dataset(DatasetSpec(name="python-docs", text_field="text"), "train").rows(), 1500))
    labels = np.asarray([example.label or "" for example in examples])
    tokens = TextTokenizer.load(MODEL).tokenize([example.text or "" for example in examples], 64)
    rows = [TokenisedRow(t.input_ids, t.valid) for t in tokens]
    hook = HookPoint(3, "resid_post")
    stored = HiddenArrays(hook, keep_positions=False)
    exact: dict[str, np.ndarray] = {how: np.zeros((len(rows), 384), dtype=np.float32) for how in ("last", "mean")}
    for batch, counts, states in Forward(TextModel.load(MODEL, device="cpu"), 4096)(rows, [hook]):
        stored.add(np.asarray(batch), counts, states[hook])
        for how, pooled in pool(states[hook], torch.from_numpy(counts)).items():
            exact[how][batch] = pooled.numpy()
    train = np.random.default_rng(0).random(len(rows)) < 0.5
    for how, states32 in exact.items():
        half = stored.arrays()[f"pooled_{how}"]
        assert half.dtype == np.float16
        before = predictions(states32, labels, train)
        after = predictions(half.astype(np.float32), labels, train)
        assert (before == after).mean() > 0.999
        scores = [f1_score(labels[~train], predicted, average="macro") for predicted in (before, after)]
        assert scores[0] > 0.3
        assert abs(scores[0] - scores[1]) < 0.002
