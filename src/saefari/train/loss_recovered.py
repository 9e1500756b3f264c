"""How well a language model still predicts when an SAE's reconstruction takes the place of what the SAE reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import torch

from saefari.models.batching import Batches
from saefari.models.forward import TokenRow
from saefari.models.hooks import HookPoint
from saefari.models.language_head import LanguageModel
from saefari.models.norms import outliers
from saefari.saes.encode import encode, reconstruct
from saefari.saes.load import LoadedSae

Edit = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class CrossEntropy:
    """Next-token cross-entropy in nats per token, over `n_tokens`."""

    clean: float
    spliced: float
    """With the SAE's reconstruction at every valid position of its hook point."""
    zero: float
    """With zeros there."""
    n_tokens: int

    @property
    def recovered(self) -> float | None:
        """(zero - spliced) / (zero - clean): 1 for a perfect SAE; None where zeros change nothing."""
        return (self.zero - self.spliced) / (self.zero - self.clean) if self.zero != self.clean else None

    def summary(self) -> dict[str, float | int | None]:
        """clean, spliced, zero, n_tokens and recovered."""
        return {**asdict(self), "recovered": self.recovered}


class LossRecovered:
    """Measures SAEs of one language model on the same rows; what they share is computed once.

    rows: held-out texts; see `LanguageModel.losses` for the tokens that count.
    max_tokens: padded tokens of a batch, lowered for good when the GPU's memory does not hold one.
    """

    def __init__(self, model: LanguageModel, rows: Sequence[TokenRow], max_tokens: int) -> None:
        self.model = model
        self.rows = [row for row in rows if np.any(row.valid > 0)]
        self.n_tokens = sum(int(np.count_nonzero(row.valid > 0)) for row in self.rows)
        self._lengths = np.asarray([len(row.input_ids) for row in self.rows])
        self.batches = Batches(max_tokens)
        self._zero: dict[tuple[HookPoint, float | None], float] = {}

    @cached_property
    def clean(self) -> float:
        """Cross-entropy of the model as it is."""
        return self._mean_loss()

    def zero(self, hook: HookPoint, limit: float | None = None) -> float:
        """Cross-entropy with zeros at every valid position of `hook` whose norm is at most `limit`."""
        if (hook, limit) not in self._zero:
            self._zero[hook, limit] = self._mean_loss(hook, _but_outliers(torch.zeros_like, limit))
        return self._zero[hook, limit]

    def measure(self, loaded: LoadedSae, limit: float | None = None) -> CrossEntropy | None:
        """The SAE's figures, at its own hook point; None where no token counts.

        limit: hidden states of a larger norm stay as they are.
        Raises ModelError for a hook point that cannot be replaced or a text that does not fit the GPU.
        """
        if not self.n_tokens:
            return None
        spliced = self._mean_loss(loaded.hook, _but_outliers(lambda hidden: reconstructed(loaded, hidden), limit))
        return CrossEntropy(self.clean, spliced, self.zero(loaded.hook, limit), self.n_tokens)

    def _mean_loss(self, hook: HookPoint | None = None, edit: Edit | None = None) -> float:
        """Nats per token over all rows."""
        batches = self.batches.run(self._lengths, lambda batch: self._nats(batch, hook, edit))
        return sum(nats for _, nats in batches) / self.n_tokens

    def _nats(self, batch: np.ndarray, hook: HookPoint | None, edit: Edit | None) -> float:
        """Of the rows of one batch together."""
        return float(self.model.losses([self.rows[i] for i in batch], hook, edit).double().sum())


def reconstructed(loaded: LoadedSae, hidden: torch.Tensor) -> torch.Tensor:
    """What the SAE makes of hidden states [n, d_in], as float32 in their own space: a mean it removed is back."""
    rebuilt = reconstruct(loaded, encode(loaded, hidden), hidden)
    return rebuilt + hidden.float().mean(dim=-1, keepdim=True).to(rebuilt) if loaded.center else rebuilt


def _but_outliers(edit: Edit, limit: float | None) -> Edit:
    """`edit` of hidden states [n, d] whose norm is at most `limit`; the others stay."""

    def edit_ordinary(hidden: torch.Tensor) -> torch.Tensor:
        above = outliers(hidden, limit)
        if above is None:
            return edit(hidden)
        below = torch.from_numpy(~above).to(hidden.device)
        edited = hidden.float().clone()
        edited[below] = edit(hidden[below]).to(edited)
        return edited

    return edit_ordinary
