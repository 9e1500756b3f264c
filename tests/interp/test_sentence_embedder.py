"""Sentence embeddings against a plain computation with transformers, and the reuse of known embeddings."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers

from saefari.interp.sentence_embedder import DEFAULT_MODEL, SentenceEmbedder
from saefari.models.registry import resolve_model

TEXTS = [
    "Join a sequence of arrays along an existing axis.",
    "Return the mean.",
    "数 → café",
    "",
    "Return the mean.",
    "word " * 400,
]


@pytest.fixture(scope="module")
def embedder() -> SentenceEmbedder:
    return SentenceEmbedder.load(device="cpu")


def reference(texts: list[str]) -> np.ndarray:
    """Mean pooling over all tokens and normalisation, one text at a time, as the model's card defines it."""
    location, _ = resolve_model(DEFAULT_MODEL)
    tokenizer = transformers.AutoTokenizer.from_pretrained(location)
    model = transformers.AutoModel.from_pretrained(location).eval()
    rows = []
    for text in texts:
        inputs = tokenizer([text], truncation=True, max_length=256, return_tensors="pt")
        with torch.no_grad():
            states = model(**inputs).last_hidden_state[0]
        mean = states.mean(dim=0).double().numpy()
        rows.append(mean / np.linalg.norm(mean))
    return np.array(rows)


def test_embeddings_are_the_models_own(embedder: SentenceEmbedder) -> None:
    found = embedder.embed(TEXTS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, reference(TEXTS), atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_similar_texts_have_a_larger_cosine(embedder: SentenceEmbedder) -> None:
    query, near, far = embedder.embed(["a cat", "a kitten sleeps", "gross domestic product"])
    assert query @ near > query @ far + 0.2


def test_no_texts(embedder: SentenceEmbedder) -> None:
    assert embedder.embed([]).shape == (0, 384)


def test_known_texts_are_not_computed_again(embedder: SentenceEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    small = SentenceEmbedder(embedder._text, kept=3)
    computed: list[str] = []
    compute = small._compute
    monkeypatch.setattr(small, "_compute", lambda texts: computed.extend(texts) or compute(texts))
    first = small.embed(["a", "b", "b", "c"])
    assert computed == ["a", "b", "c"]
    np.testing.assert_array_equal(small.embed(["c", "a"]), first[[3, 0]])
    assert computed == ["a", "b", "c"]
    small.embed(["d"])
    small.embed(["a", "c", "b"])
    assert computed == ["a", "b", "c", "d", "b"], "b was used least recently and is forgotten"


def test_more_texts_than_are_kept(embedder: SentenceEmbedder) -> None:
    small = SentenceEmbedder(embedder._text, kept=1)
    texts = ["one", "two", "three"]
    np.testing.assert_allclose(small.embed(texts), embedder.embed(texts), atol=2e-6)
