"""Tokens that a latent makes the model write, by its decoder direction."""

from __future__ import annotations

from saefari.errors import ModelError
from saefari.models.language_head import LanguageModel
from saefari.saes.load import LoadedSae

N_TOKENS = 10


class PromotedTokens:
    """The tokens whose logits rise most along a latent's decoder direction: direct logit attribution, W_U · W_dec[i]
    (nostalgebraist 2020, "interpreting GPT: the logit lens"), without the final norm.

    Raises ModelError if the SAE does not write vectors of the model's size.
    """

    def __init__(self, language: LanguageModel, loaded: LoadedSae) -> None:
        self._language = language
        self._decoder = loaded.sae.W_dec
        if self._decoder.shape[1] != language.text.d_model:
            raise ModelError(
                f"{loaded.ref.title} writes vectors of {self._decoder.shape[1]} values, and hidden states of "
                f"{language.text.info.name!r} have {language.text.d_model}: set explain.prompting.promoted_tokens to "
                "false"
            )

    def __call__(self, latent: int) -> list[str]:
        """Return the tokens of a latent, the most promoted first."""
        logits = self._language.logits_along(self._decoder[latent])
        tokenizer = self._language.text.tokenizer.tokenizer
        return [str(tokenizer.decode([token])) for token in logits.topk(min(N_TOKENS, len(logits))).indices.tolist()]
