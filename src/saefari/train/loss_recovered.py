"""Loss recovered: cross-entropy of a language model with an SAE's reconstruction spliced in at its hook point."""

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
    """With zeros at these positions."""
    n_tokens: int

    @property
    def recovered(self) -> float | None:
        """(zero - spliced) / (zero - clean): 1 for a perfect SAE; None if zero equals clean."""
        return (self.zero - self.spliced) / (self.zero - self.clean) if self.zero != self.clean else None

    def summary(self) -> dict[str, float | int | None]:
        """Return clean, spliced, zero, n_tokens and recovered."""
        return {**asdict(self), "recovered": self.recovered}


class LossRecovered:
    """Measures SAEs of one language model on the same rows; shared results are computed once.

    rows: held-out texts; see `LanguageModel.losses` for the target tokens.
    max_tokens: padded tokens of a batch, lowered permanently when the GPU runs out of memory.
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
        """Cross-entropy of the unchanged model."""
        return self._mean_loss()

    def zero(self, hook: HookPoint, limit: float | None = None) -> float:
        """Compute the cross-entropy with zeros at valid positions of `hook` whose norm is at most `limit`."""
        if (hook, limit) not in self._zero:
            self._zero[hook, limit] = self._mean_loss(hook, _except_outliers(torch.zeros_like, limit))
        return self._zero[hook, limit]

    def measure(self, loaded: LoadedSae, limit: float | None = None) -> CrossEntropy | None:
        """Measure an SAE at its own hook point; None if there are no target tokens.

        limit: hidden states of a larger norm are unchanged.
        Raises ModelError for a hook point that cannot be replaced or a text that does not fit the GPU.
        """
        if not self.n_tokens:
            return None
        spliced = self._mean_loss(loaded.hook, _except_outliers(lambda hidden: reconstructed(loaded, hidden), limit))
        return CrossEntropy(self.clean, spliced, self.zero(loaded.hook, limit), self.n_tokens)

    def _mean_loss(self, hook: HookPoint | None = None, edit: Edit | None = None) -> float:
        """Return nats per token over all rows."""
        batches = self.batches.run(self._lengths, lambda batch: self._nats(batch, hook, edit))
        return sum(nats for _, nats in batches) / self.n_tokens

    def _nats(self, batch: np.ndarray, hook: HookPoint | None, edit: Edit | None) -> float:
        """Return the summed loss of a batch in nats."""
        return float(self.model.losses([self.rows[i] for i in batch], hook, edit).double().sum())


def reconstructed(loaded: LoadedSae, hidden: torch.Tensor) -> torch.Tensor:
    """Reconstruct hidden states [n, d_in] as float32 in their original space, adding back a removed mean."""
    rebuilt = reconstruct(loaded, encode(loaded, hidden), hidden)
    return rebuilt + hidden.float().mean(dim=-1, keepdim=True).to(rebuilt) if loaded.center else rebuilt


def _except_outliers(edit: Edit, limit: float | None) -> Edit:
    """Restrict `edit` to hidden states [n, d] whose norm is at most `limit`."""

    def edit_without_outliers(hidden: torch.Tensor) -> torch.Tensor:
        outlier_mask = outliers(hidden, limit)
        if outlier_mask is None:
            return edit(hidden)
        kept = torch.from_numpy(~outlier_mask).to(hidden.device)
        edited = hidden.float().clone()
        edited[kept] = edit(hidden[kept]).to(edited)
        return edited

    return edit_without_outliers
