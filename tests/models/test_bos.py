"""BOS added to a text, removed from it, or as the tokenizer does it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saefari.errors import ModelError
from saefari.models.packing import pack
from saefari.models.tokenizer import TextTokenizer

BOS = 1
TEXTS = ["the cat sat on a mat", "", "river", "<s> the dog", "cat " * 40]


@pytest.fixture(params=["gpt2", "pythia", "llama", "gemma2", "roberta"])
def tokenizer(request: pytest.FixtureRequest, save_tiny: Callable[..., Path]) -> TextTokenizer:
    return TextTokenizer.load(str(save_tiny(request.param)))


def text_alone(tokenizer: TextTokenizer, text: str) -> tuple[list[int], list[tuple[int, int]]]:
    """Return ids and spans of a text from transformers alone."""
    encoded = tokenizer.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    return encoded["input_ids"], encoded["offset_mapping"]


@pytest.mark.parametrize("max_length", [4, 8, 64])
@pytest.mark.parametrize("prepend", [True, False])
def test_a_text_begins_with_one_bos_or_with_none(tokenizer: TextTokenizer, prepend: bool, max_length: int) -> None:
    chosen = tokenizer.with_bos(prepend)
    after = len(tokenizer.frame()[1])
    for text, tokens in zip(TEXTS, chosen.tokenize(TEXTS, max_length), strict=True):
        ids, spans = text_alone(tokenizer, text)
        kept = ids[: max_length - after - prepend]  # max_length includes BOS
        first = [BOS] * prepend
        assert tokens.input_ids.tolist() == [*first, *kept, *tokenizer.frame()[1]]
        counting = [index for index, token in enumerate(kept) if token != BOS]
        assert tokens.valid.tolist() == [index + prepend for index in counting]
        assert tokens.spans.tolist() == [list(spans[index]) for index in counting]
        assert {tokens.input_ids.dtype, tokens.valid.dtype, tokens.spans.dtype} == {np.dtype(np.int32)}
    assert (chosen.prepends_bos, chosen.begins_with_special) == (prepend, prepend)


def test_bos_counts_if_special_tokens_do(tokenizer: TextTokenizer) -> None:
    (tokens,) = tokenizer.with_bos(True).tokenize(["the cat"], 64, include_special_tokens=True)
    assert tokens.valid.tolist() == list(range(len(tokens.input_ids)))
    assert tokens.spans[0].tolist() == [0, 0]
    (alone,) = tokenizer.with_bos(True).tokenize(["the cat"], 64, positions="cls")
    assert alone.valid.tolist() == [0]


def test_the_tokenizers_own_behaviour_is_no_change(tokenizer: TextTokenizer) -> None:
    own = tokenizer.prepends_bos
    assert tokenizer.bos_change is None
    assert tokenizer.with_bos(own).bos_change is None
    assert tokenizer.with_bos(not own).bos_change is (not own)
    for same, tokens in zip(tokenizer.with_bos(own).tokenize(TEXTS, 16), tokenizer.tokenize(TEXTS, 16), strict=True):
        np.testing.assert_array_equal(same.input_ids, tokens.input_ids)


@pytest.mark.parametrize("prepend", [True, False])
def test_every_packed_context_begins_with_one_bos_or_with_none(tokenizer: TextTokenizer, prepend: bool) -> None:
    chosen = tokenizer.with_bos(prepend)
    contexts = list(pack(["the cat sat on a mat"] * 20, chosen, 16))
    assert [context.length for context in contexts[:-1]] == [16] * (len(contexts) - 1)
    assert all((context.input_ids[0] == BOS) is np.bool_(prepend) for context in contexts)
    assert not (prepend and any(0 in context.valid for context in contexts))
    assert sum((context.input_ids == BOS).sum() for context in contexts) == prepend * len(contexts)


def test_a_tokenizer_without_bos_is_an_error(save_tiny: Callable[..., Path]) -> None:
    tokenizer = TextTokenizer.load(str(save_tiny("gpt2")))
    tokenizer.tokenizer.bos_token = None
    with pytest.raises(ModelError, match="has no BOS token"):
        tokenizer.with_bos(True)
    assert tokenizer.with_bos(False).bos_change is None


def test_cls_is_not_bos() -> None:
    tokenizer = TextTokenizer.load("sentence-transformers/all-MiniLM-L6-v2")
    assert not tokenizer.prepends_bos
    assert tokenizer.with_bos(False).tokenize(["a cat"], 8)[0].input_ids[0] == tokenizer.tokenizer.cls_token_id


def _config(kind: str, **options: Any) -> Any:
    import transformers

    from tests.conftest import config_of

    config = config_of(kind)
    for name, value in options.items():
        setattr(config, name, value)
    assert isinstance(config, transformers.PretrainedConfig)
    return config


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        *((kind, {}, True) for kind in ("gpt2", "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "pythia")),
        ("gemma3", {}, True),
        ("gemma3", {"use_bidirectional_attention": True}, False),
        ("bert", {}, False),
        ("roberta", {}, False),
        ("bert", {"is_decoder": True}, True),
    ],
)
def test_causal_models_are_distinguished_from_encoders(kind: str, options: dict[str, Any], expected: bool) -> None:
    from saefari.models.registry import is_causal

    assert is_causal(_config(kind, **options)) is expected
