"""A planted attention sink: a tiny Llama with the embedding of one frequent word scaled by 300."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from .conftest import SPECIAL, WORDS, config_of, random_weights, tokenizer_of

SINK = WORDS[0]
SINK_ID = len(SPECIAL)
SHARE = 0.1
"""Share of the words of a text."""


def save_sink_model(folder: Path, left_out: bool = False) -> Path:
    """Save the model. left_out: its tokenizer treats the word as a special token, which never counts."""
    model = random_weights(transformers.AutoModel.from_config(config_of("llama")))
    with torch.no_grad():
        model.get_input_embeddings().weight[SINK_ID] *= 300
    model.save_pretrained(folder)
    tokenizer = tokenizer_of("llama")
    if left_out:
        tokenizer.add_special_tokens({"additional_special_tokens": [SINK]})
    tokenizer.save_pretrained(folder)
    return folder


def write_sink_texts(path: Path, n_rows: int, share: float = SHARE, seed: int = 0) -> list[str]:
    """Write a JSONL file of texts of 6 to 13 words, some of them the sink; each of three labels has its own words."""
    generator = np.random.default_rng(seed)
    others = WORDS[1:]
    texts = []
    for row in range(n_rows):
        weights = np.ones(len(others))
        weights[3 * (row % 3) : 3 * (row % 3) + 3] = 2.5
        words = generator.choice(others, generator.integers(6, 14), p=weights / weights.sum())
        texts.append(" ".join(SINK if generator.random() < share else word for word in words))
    lines = [json.dumps({"text": text, "label": "abc"[row % 3]}) for row, text in enumerate(texts)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return texts


def sink_run(model: Path, data: Path, output: Path, **settings: Any) -> dict[str, Any]:
    """Build the configuration of a run over the texts, without SAEs."""
    return {
        "settings": {
            "base_save_dir": str(output / "activations"),
            "base_classify_dir": str(output / "classifications"),
            "device": "cpu",
            "n_jobs": 1,
            "cv_folds": 2,
            "n_bootstrap": 100,
            **settings,
        },
        "models": [{"name": str(model), "layers": [2]}],
        "datasets": [{"name": str(data), "text_field": "text"}],
        "classification_params": {"pooling": ["sum", "mean", "max", "last"], "hidden_pooling": ["last", "mean"]},
    }
