"""A tiny run: a model, four SAEs and a dataset on disk, and their configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saefari.config import Config, parse_config


@pytest.fixture
def experiment(
    tmp_path: Path, save_tiny: Callable[..., Path], write_texts: Callable[..., list[str]]
) -> Callable[..., Config]:
    """experiment(kind, n_rows, padding_side, **settings): configuration of a tiny run in tmp_path."""

    def build(kind: str = "gpt2", n_rows: int = 60, padding_side: str = "right", **settings: Any) -> Config:
        write_texts(tmp_path / "texts.jsonl", n_rows)
        return parse_config(
            {
                "settings": {
                    "base_save_dir": str(tmp_path / "activations"),
                    "base_classify_dir": str(tmp_path / "classifications"),
                    "device": "cpu",
                    "max_tokens_per_batch": 64,
                    **settings,
                },
                "models": [
                    {
                        "name": str(save_tiny(kind, padding_side)),
                        "layers": [1, 3],
                        "widths": ["64", "96"],
                        "sae_path": str(tmp_path / "given" / "layer_{layer}_{width}"),
                    }
                ],
                "datasets": [{"name": str(tmp_path / "texts.jsonl"), "text_field": "text"}],
            }
        )

    return build


@pytest.fixture
def given_saes(tmp_path: Path, save_sae: Callable[..., Any]) -> Callable[..., dict[tuple[int, str], Any]]:
    """given_saes(site): save the four SAEs of `experiment`, one jumprelu and one topk per layer."""

    def save(site: str = "hook_resid_post", d_in: int = 32, **config: Any) -> dict[tuple[int, str], Any]:
        saes = {}
        for layer in (1, 3):
            for width, architecture in (("64", "jumprelu"), ("96", "topk")):
                folder = tmp_path / "given" / f"layer_{layer}_{width}"
                options = {"k": 5} if architecture == "topk" else {}
                saes[layer, width] = save_sae(
                    folder, f"blocks.{layer}.{site}", d_in, int(width), architecture, **options, **config
                )
        return saes

    return save
