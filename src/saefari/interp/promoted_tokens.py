"""Tokens that a latent makes the model write, by its decoder direction."""

from __future__ import annotations

import torch

from saefari.errors import ModelError
from saefari.models.language_head import LanguageModel
from saefari.saes.load import LoadedSae

N_TOKENS = 10


class PromotedTokens:
    """The tokens whose logits rise most along a latent's decoder direction: direct logit attribution, W_U · W_dec[i]
    (nostalgebraist 2020, "interpreting GPT: the logit lens"), without the final norm.

    Raises ModelError if the model has no unembedding matrix, or the SAE does not write to the residual stream.
    """

    def __init__(self, language: LanguageModel, loaded: LoadedSae) -> None:
        self._tokenizer = language.text.tokenizer.tokenizer
        self._unembedding = language.unembedding()
        self._decoder = loaded.sae.W_dec
        if self._unembedding.shape[1] != self._decoder.shape[1]:
            raise ModelError(
                f"{loaded.ref.title} writes vectors of {self._decoder.shape[1]} values, and the model's unembedding "
                f"takes {self._unembedding.shape[1]}: set explain.prompting.promoted_tokens to false"
            )

    @torch.no_grad()
    def __call__(self, latent: int) -> list[str]:
        """Return the tokens of a latent, the most promoted first."""
        direction = self._decoder[latent].to(self._unembedding)
        top = (self._unembedding @ direction).topk(min(N_TOKENS, len(self._unembedding))).indices
        return [str(self._tokenizer.decode([token])) for token in top.tolist()]
