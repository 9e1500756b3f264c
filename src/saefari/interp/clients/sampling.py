"""Choice of the next token per row of a batch, with a temperature and a seed per row, and log-probabilities.

transformers' own sampling has one random generator per batch, so an answer would depend on the other rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from saefari.interp.clients.client import Request

Step = tuple[float, list[tuple[int, float]]]
"""Log-probability of the chosen token, and (token, log-probability) of the most probable ones."""


class RowSampler:
    """A logits processor that leaves one token per row: the most probable one, or a sample if the temperature is not 0.

    Sampling adds Gumbel noise to the scaled logits and takes the maximum, which draws from their softmax.
    """

    def __init__(self, requests: Sequence[Request]) -> None:
        self._requests = requests
        self._random = [torch.Generator().manual_seed(request.seed) for request in requests]
        self._steps: list[tuple[Tensor, Tensor, Tensor]] = []
        self._most = max(request.top_logprobs for request in requests)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return logits in which only the chosen tokens are possible; scores: [n_rows, n_vocabulary]."""
        logits = scores.float()
        noisy = torch.stack([self._noisy(row, place) for place, row in enumerate(logits)])
        chosen = noisy.argmax(dim=-1, keepdim=True)
        if self._most:
            logprobs = logits.log_softmax(dim=-1)
            values, ids = logprobs.topk(min(self._most, logits.shape[-1]), dim=-1)
            self._steps.append((logprobs.gather(-1, chosen).cpu(), values.cpu(), ids.cpu()))
        return torch.full_like(scores, float("-inf")).scatter_(-1, chosen, 0.0)

    def steps_of(self, place: int) -> list[Step]:
        """Return the log-probabilities of every step of a row."""
        n_top = self._requests[place].top_logprobs
        return [
            (float(chosen[place]), list(zip(ids[place, :n_top].tolist(), values[place, :n_top].tolist(), strict=True)))
            for chosen, values, ids in self._steps
        ]

    def _noisy(self, logits: Tensor, place: int) -> Tensor:
        temperature = self._requests[place].temperature
        if temperature == 0:
            return logits
        uniform = torch.rand(logits.shape, generator=self._random[place], dtype=torch.float64).clamp_min(1e-300)
        return logits / temperature - torch.log(-torch.log(uniform)).to(logits)


def stop_rows(requests: Sequence[Request], width: int, marks_end: Callable[[Tensor], bool]) -> Callable[..., Tensor]:
    """Return a stopping criterion: a row ends at its own max_tokens, or where `marks_end` of its new tokens is true.

    width: length of the padded prompts.
    """

    def stop(input_ids: Tensor, scores: Tensor, **_: object) -> Tensor:
        new = input_ids[:, width:]
        ended = [new.shape[1] >= one.max_tokens or marks_end(row) for one, row in zip(requests, new, strict=True)]
        return torch.tensor(ended, device=input_ids.device)

    return stop
