"""Simulation with a local model: expected activations from its probabilities of digits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from saefari.interp.records import ExplanationError
from saefari.interp.serial import Serial
from saefari.interp.text_likelihood import check_length, token_ids
from saefari.models.language_head import LanguageModel
from saefari.models.tokenizer import Tokens

INTRODUCTION = (
    "A feature of a neural network is described. After each token of a text stands, behind a tab, how strongly the "
    "feature is active there, from 0 (not at all) to 10.\nDescription: {}\nText:\n"
)
PLACEHOLDER = "unknown"
"""Stands where the activations of earlier tokens would be."""


class TokenSimulator:
    """Predicts each token's activation as its expected value under a local causal language model.

    After the explanation the model reads one line per token: the token, a tab and a placeholder. The distribution of
    the token after each tab, restricted to the numbers 0 to 10 that are one token, gives the expected value; one
    forward pass serves the whole text (Bills et al. 2023, the simulation "all at once").
    """

    def __init__(self, language: LanguageModel, thread: Serial | None = None) -> None:
        """thread: shared by scorers that use the same model. Raises ExplanationError without numbers as tokens."""
        self._language = language
        self._thread = thread or Serial()
        self._numbers, self._number_ids = _number_tokens(language)

    async def simulate(self, explanation: str, tokens: Sequence[str]) -> Sequence[float]:
        """Return the expected number of each token."""
        return await self._thread.run(self.expected, explanation, tokens)

    def expected(self, explanation: str, tokens: Sequence[str]) -> list[float]:
        """Compute the expected number of each token. Raises ExplanationError if the text is too long."""
        row, positions = self._row(explanation, tokens)
        log_probabilities = self._language.log_probabilities([row], [positions])
        chosen = log_probabilities[:, self._number_ids].double().softmax(-1).cpu().numpy()
        found: list[float] = (chosen @ self._numbers).tolist()
        return found

    def _row(self, explanation: str, tokens: Sequence[str]) -> tuple[Tokens, np.ndarray]:
        """Return the model's input, and the position of the tab after each token."""
        introduction, tab, filled = token_ids(
            self._language, [INTRODUCTION.format(explanation), "\t", f"{PLACEHOLDER}\n"]
        )
        before, _ = self._language.text.tokenizer.frame()
        ids, positions = [*before, *introduction], []
        for token in token_ids(self._language, list(tokens)):
            ids += [*token, *tab]
            positions.append(len(ids) - 1)
            ids += filled
        check_length(self._language, len(ids))
        nothing = np.zeros(0, np.int32)
        return Tokens(np.array(ids, np.int32), nothing, nothing.reshape(0, 2)), np.array(positions)


def _number_tokens(language: LanguageModel) -> tuple[np.ndarray, list[int]]:
    """Return the numbers 0 to 10 that are one token after a tab, and their ids. Raises ExplanationError without any."""
    tab, *numbered = token_ids(language, ["\t", *(f"\t{number}" for number in range(11))])
    unknown = language.text.tokenizer.tokenizer.unk_token_id
    single = {
        number: ids[-1]
        for number, ids in enumerate(numbered)
        if ids[:-1] == tab and len(ids) == len(tab) + 1 and ids[-1] != unknown
    }
    if len(single) < 2:
        raise ExplanationError(
            f"{language.text.info.name}: its tokenizer has no tokens for the numbers 0 to 10, which the scorer "
            "simulation needs: use another explain.client.model"
        )
    return np.array(list(single), np.float64), list(single.values())
