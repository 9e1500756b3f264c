"""A tiny model with random weights, and token rows for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

from saefari.models.text import TextModel
from saefari.store import TokenisedRow

D_MODEL = 16


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> TextModel:
    """A three-block GPT-2 of 16 dimensions, saved and loaded the way a user's own would be."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    vocabulary = {f"w{i}": i for i in range(50)}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="w0", pad_token="w1")
    tokenizer.save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.GPT2Config(
            vocab_size=50,
            n_embd=D_MODEL,
            n_layer=3,
            n_head=2,
            n_positions=32,
            pad_token_id=1,
            bos_token_id=0,
            eos_token_id=0,
            initializer_range=0.5,
        )
        transformers.GPT2Model(config).save_pretrained(folder)
    return TextModel.load(str(folder), dtype="float32", device="cpu")


@pytest.fixture(scope="session")
def token_rows() -> Callable[[], Iterator[TokenisedRow]]:
    """400 texts of 2 to 12 tokens; the first position of each does not count."""
    generator = np.random.default_rng(0)
    rows = []
    for _ in range(400):
        input_ids = generator.integers(2, 50, generator.integers(2, 13)).astype(np.int32)
        rows.append(TokenisedRow(input_ids, np.arange(1, len(input_ids), dtype=np.int32)))
    return lambda: iter(rows)
