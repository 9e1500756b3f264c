"""Interventions on one latent while a causal language model reads and writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from saefari.interp.records import ExplanationError, NotPossibleError
from saefari.models.hooks import HookPoint
from saefari.models.language_head import LanguageModel
from saefari.models.tokenizer import Tokens
from saefari.saes.load import LoadedSae, centred

Edit = Callable[[float], Callable[[Tensor], Tensor]]
"""Strength -> function that maps hidden states [n_positions, d] to edited ones."""
_DOUBLINGS = 40
_BISECTIONS = 40
_TOLERANCE = 0.01
"""Relative difference from the wanted KL divergence."""


def steer(loaded: LoadedSae, latent: int) -> Edit:
    """Return the edit that adds `strength` times the unit decoder direction at every position."""
    direction = loaded.sae.W_dec[latent] / loaded.sae.W_dec[latent].norm()

    def edit(strength: float) -> Callable[[Tensor], Tensor]:
        return lambda hidden: hidden.float() + strength * direction.to(hidden.device)

    return edit


def ablate(loaded: LoadedSae, latent: int) -> Edit:
    """Return the edit that removes `strength` times what the latent adds to the SAE's reconstruction (1: all of it)."""

    def contribution(hidden: Tensor) -> Tensor:
        codes = loaded.sae.encode(centred(loaded, hidden))
        full = loaded.sae.decode(codes)
        codes[:, latent] = 0
        return full - loaded.sae.decode(codes)  # type: ignore[no-any-return]

    def edit(strength: float) -> Callable[[Tensor], Tensor]:
        return lambda hidden: hidden.float() - strength * contribution(hidden).to(hidden.device)

    return edit


class SteeredModel:
    """A causal language model whose hidden states at one hook point are edited."""

    def __init__(self, language: LanguageModel, hook: HookPoint, edit: Edit) -> None:
        self._language = language
        self._hook = hook
        self._edit = edit

    def rows(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokenise prompts; all their tokens but special ones are edited. Raises ExplanationError for an empty one."""
        tokenizer = self._language.text.tokenizer
        rows = []
        for tokens in tokenizer.tokenize(texts, tokenizer.limit):
            if len(tokens.valid) == 0:
                raise ExplanationError("a prompt has no tokens, so that nothing can be steered")
            stop = int(tokens.valid[-1]) + 1
            rows.append(Tokens(tokens.input_ids[:stop], tokens.valid, tokens.spans))
        return rows

    def strength_for(self, rows: Sequence[Tokens], wanted: float) -> tuple[float, float]:
        """Return the strength at which the mean KL divergence is `wanted` nats, and the divergence reached.

        Doubles the strength until the divergence exceeds `wanted`, then bisects. Raises ExplanationError if it never
        does, as for a latent that is not active and is to be ablated.
        """
        clean = self._next(rows, 0.0)
        low, high = 0.0, 2.0**-6
        reached = self._divergence(rows, clean, high)
        for _ in range(_DOUBLINGS):
            if reached >= wanted:
                break
            low, high = high, 2 * high
            reached = self._divergence(rows, clean, high)
        if not reached >= wanted:
            raise NotPossibleError(
                f"no strength of the intervention changes the next token by {wanted:g} nats (KL divergence); it "
                f"reaches {reached:.3g}"
            )
        strength = high
        for _ in range(_BISECTIONS):
            if abs(reached - wanted) <= _TOLERANCE * wanted:
                break
            strength = (low + high) / 2
            reached = self._divergence(rows, clean, strength)
            low, high = (strength, high) if reached < wanted else (low, strength)
        return strength, reached

    def continuations(self, rows: Sequence[Tokens], n_tokens: int, strength: float) -> list[str]:
        """Return the most probable next tokens of each prompt, one after another, as text; edited ones included."""
        tokenizer = self._language.text.tokenizer
        grown = list(rows)
        for _ in range(n_tokens):
            grown = [
                _appended(row, token)
                for row, token in zip(grown, self._next(grown, strength).argmax(-1).tolist(), strict=True)
            ]
        return [
            tokenizer.tokenizer.decode(row.input_ids[len(start.input_ids) :].tolist(), skip_special_tokens=True)
            for row, start in zip(grown, rows, strict=True)
        ]

    def _divergence(self, rows: Sequence[Tokens], clean: Tensor, strength: float) -> float:
        """Return the mean over prompts of KL(edited ‖ clean) of the next token, in nats."""
        edited = self._next(rows, strength)
        return float((edited.exp() * (edited - clean)).sum(-1).mean())

    def _next(self, rows: Sequence[Tokens], strength: float) -> Tensor:
        """Return the log-probabilities of the token after each prompt, float64 [n_rows, vocabulary size]."""
        last = [np.array([len(row.input_ids) - 1]) for row in rows]
        if strength == 0:
            return self._language.log_probabilities(rows, last).double()
        return self._language.log_probabilities(rows, last, self._hook, self._edit(strength)).double()


def _appended(row: Tokens, token: int) -> Tokens:
    """Return a row with one more token, which counts."""
    ids = np.append(row.input_ids, np.int32(token))
    return Tokens(ids, np.append(row.valid, np.int32(len(ids) - 1)), row.spans)
