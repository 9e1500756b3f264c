"""A tiny causal language model with digits and a tokenizer of words, and plain computations with transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from saefari.models.language_head import LanguageModel
from saefari.models.text_model import TextModel

from ...conftest import config_of, random_weights
from .planted import WORD, WORDS

SPECIAL = ["<pad>", "<s>", "</s>", "<unk>"]
TEMPLATE_WORDS = [
    "text",
    "Text",
    "description",
    "Description",
    ":",
    ".",
    "any",
    "A",
    "a",
    "of",
    "the",
    "fits",
    "The",
    "word",
]


def tokenizer_with_digits() -> Any:
    """Return a word-level tokenizer that knows the planted words, the numbers 0 to 9 and "unknown"; it adds <s>."""
    words = [*SPECIAL, *(str(number) for number in range(10)), "unknown", WORD, *WORDS, *TEMPLATE_WORDS]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace()])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=256,
    )


def save_language_model(folder: Path, kind: str = "llama") -> Path:
    """Save a random causal model whose vocabulary is that of the tokenizer."""
    config = config_of(kind)
    config.vocab_size = 64
    config.max_position_embeddings = 256
    model = random_weights(transformers.AutoModelForCausalLM.from_config(config))
    if not config.tie_word_embeddings:
        model.lm_head.weight.data *= 5  # clear preferences for the next token, which steering can change
    model.save_pretrained(folder)
    tokenizer_with_digits().save_pretrained(folder)
    return folder


def load_language_model(folder: Path) -> LanguageModel:
    """Load what `save_language_model` saved."""
    return LanguageModel.of(TextModel.load(str(folder), device="cpu"))


class Plain:
    """The same model, computed plainly with transformers, one text at a time."""

    def __init__(self, folder: Path) -> None:
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)

    def ids(self, text: str) -> list[int]:
        """Return the token ids of a text without special tokens."""
        found: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    @torch.no_grad()
    def log_probabilities(self, ids: list[int]) -> np.ndarray:
        """Return the log-probabilities of the token after each position."""
        logits = self.model(input_ids=torch.tensor([ids])).logits[0]
        found: np.ndarray = logits.double().log_softmax(-1).numpy()
        return found

    def log_likelihood(self, prefix: str, text: str) -> float:
        """Return log p(text | prefix), token by token."""
        before, after = [1, *self.ids(prefix)], self.ids(text)
        table = self.log_probabilities(before + after)
        return float(sum(table[len(before) + i - 1, token] for i, token in enumerate(after)))
