"""Promoted tokens against a plain product of unembedding and decoder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from saefari.errors import ModelError
from saefari.interp.promoted_tokens import N_TOKENS, PromotedTokens
from saefari.saes.load import LoadedSae, load_sae
from saefari.saes.ref import SaeRef
from tests.interp.scorers.language import Plain, load_language_model, save_language_model

HOOK = "blocks.1.hook_resid_post"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_language_model(tmp_path_factory.mktemp("model"))


def loaded(folder: Path, save_sae: Callable[..., Any], d_in: int) -> LoadedSae:
    save_sae(folder, HOOK, d_in)
    return load_sae(SaeRef(1, "64", path=str(folder), hook=HOOK), "cpu")


def test_they_are_the_largest_products_with_the_unembedding(
    folder: Path, tmp_path: Path, save_sae: Callable[..., Any]
) -> None:
    sae, plain = loaded(tmp_path, save_sae, 32), Plain(folder)
    promoted = PromotedTokens(load_language_model(folder), sae)
    for latent in (0, 5, 63):
        logits = plain.model.lm_head.weight @ sae.sae.W_dec[latent]
        wanted = torch.argsort(logits, descending=True)[:N_TOKENS]
        assert promoted(latent) == [plain.tokenizer.decode([token]) for token in wanted.tolist()]


def test_an_sae_of_another_size_is_an_error_with_a_way_out(
    folder: Path, tmp_path: Path, save_sae: Callable[..., Any]
) -> None:
    with pytest.raises(ModelError, match=r"writes vectors of 16 values"):
        PromotedTokens(load_language_model(folder), loaded(tmp_path, save_sae, 16))
