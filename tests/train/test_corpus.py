"""Rows of a corpus: some contexts are held out, the others are trained on, equal in every epoch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from saefari.config import Corpus
from saefari.models.tokenizer import TextTokenizer
from saefari.train.corpus import CorpusRows


@pytest.fixture
def rows(tmp_path: Path, save_tiny: Callable[..., Path]) -> Callable[[bool], CorpusRows]:
    """rows(packed): 1,000 texts of five words that contain the text's number."""
    path = tmp_path / "texts.csv"
    words = ["the", "cat", "dog", "sat", "ran", "mat", "tree", "river", "it", "was"]
    lines = ["text", *(" ".join(words[int(digit)] for digit in f"{number:05d}") for number in range(1000))]
    path.write_text("\n".join(lines) + "\n")
    tokenizer = TextTokenizer.load(str(save_tiny("bert")))
    return lambda packed: CorpusRows(Corpus(name=str(path), context_size=14, packed=packed), tokenizer)


@pytest.mark.parametrize(("packed", "n_contexts"), [(True, 500), (False, 1000)])
def test_contexts_are_trained_on_or_held_out(rows: Callable[[bool], CorpusRows], packed: bool, n_contexts: int) -> None:
    corpus = rows(packed)
    training = [tuple(row.input_ids.tolist()) for row in corpus.training(0)]
    held_out = [tuple(row.input_ids.tolist()) for row in corpus.held_out()]
    assert training == [tuple(row.input_ids.tolist()) for row in corpus.training(1)]
    assert len(held_out) == n_contexts / 20
    assert len(training) + len(held_out) == n_contexts
    assert not set(training) & set(held_out)
    assert {len(row) for row in training} == {14 if packed else 7}
