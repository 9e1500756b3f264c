"""A text model with its language-modelling head: cross-entropy with original or replaced hidden states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from saefari.errors import ModelError
from saefari.models.forward import TokenRow, valid_positions
from saefari.models.hooks import HookPoint, splice
from saefari.models.pretrained import read_weights
from saefari.models.registry import read_config, resolve_model
from saefari.models.text_model import TextModel

LOGIT_ELEMENTS = 2**25
"""Maximum logits in memory: 128 MB in float32, 128 positions of Gemma's vocabulary."""


class NoLanguageHead(ModelError):
    """The checkpoint cannot predict next tokens; the message gives the reason."""


class _BlocksOutput:
    """The base model's output, with the hidden states only."""

    def __init__(self, states: Tensor) -> None:
        self.last_hidden_state = states

    def __getitem__(self, index: int) -> Tensor:
        return (self.last_hidden_state,)[index]

    def __getattr__(self, name: str) -> None:
        return None


class _PassThrough(nn.Module):
    """Replacement of the base model that returns the given final hidden states, so that only the head runs."""

    def forward(self, *args: Any, inputs_embeds: Tensor, **kwargs: Any) -> _BlocksOutput:
        return _BlocksOutput(inputs_embeds)


class LanguageModel:
    """A decoder that shares its blocks with a TextModel, and its head including any processing of the logits."""

    def __init__(self, text: TextModel, head: Any) -> None:
        """Combine loaded parts; use `of` to load them."""
        self.text = text
        self.head = head

    @classmethod
    def of(cls, text: TextModel) -> LanguageModel:
        """Load the head from the text model's checkpoint, in its precision and on its device.

        Raises NoLanguageHead for an encoder, a model type without such a head, and a checkpoint that neither holds
        one nor ties it to the embedding.
        """
        from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoModelForCausalLM

        name = text.info.name
        if not _is_causal(text):
            raise NoLanguageHead(f"model {name!r} is an encoder: it attends to the tokens it would have to predict")
        config = read_config(name, text.info.revision)
        if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
            raise NoLanguageHead(f"model {name!r}: transformers has no language model of type {config.model_type}")
        location, _ = resolve_model(name, text.info.revision)
        model, missing = read_weights(AutoModelForCausalLM, text.info, location, text.dtype)
        if missing:
            raise NoLanguageHead(f"model {name!r}: its files hold no language-modelling head ({missing[0]})")
        if model.base_model is model:
            raise NoLanguageHead(
                f"model {name!r}: the head of a {type(model).__name__} is not separate from its blocks"
            )
        setattr(model, model.base_model_prefix, _PassThrough())
        return cls(text, model.to(text.device).eval().requires_grad_(False))

    @torch.no_grad()
    def losses(
        self,
        rows: Sequence[TokenRow],
        hook: HookPoint | None = None,
        edit: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Compute the cross-entropy in nats, float32 [n_targets], of each target token given those before it.

        rows: one batch. Targets are the tokens at valid positions, except a row's first token.
        hook, edit: given together; the valid positions at `hook`, [n_positions, d] in the model's dtype, are replaced
        by `edit(states)`, any float dtype on any device. Raises ModelError for a hook that cannot be replaced.
        """
        ids, states = self._states(rows, hook, edit)
        targets, _ = valid_positions([row.valid[row.valid > 0] for row in rows], ids.shape[1])
        targets = targets.to(ids.device)
        return self._cross_entropy(states.flatten(0, 1)[targets - 1], ids.flatten()[targets])

    @torch.no_grad()
    def log_probabilities(
        self,
        rows: Sequence[TokenRow],
        positions: Sequence[np.ndarray],
        hook: HookPoint | None = None,
        edit: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Compute the log-probabilities of the next token, float32 [n_positions, vocabulary size].

        rows: one batch. positions: per row, the positions after which the next token is predicted; the caller keeps
        their number small, since all logits are in memory. hook, edit: as in `losses`.
        """
        ids, states = self._states(rows, hook, edit)
        places, _ = valid_positions(positions, ids.shape[1])
        chosen = states.flatten(0, 1)[places.to(ids.device)]
        return self.head(inputs_embeds=chosen[None]).logits[0].float().log_softmax(-1)  # type: ignore[no-any-return]

    def _states(
        self, rows: Sequence[TokenRow], hook: HookPoint | None, edit: Callable[[Tensor], Tensor] | None
    ) -> tuple[Tensor, Tensor]:
        """Return the padded token ids int64 [B, T] and the final hidden states [B, T, d]."""
        inputs = self.text.padded([row.input_ids for row in rows])
        ids = inputs["input_ids"]
        assert ids is not None
        replaced, _ = valid_positions([row.valid for row in rows], ids.shape[1])
        spliced = nullcontext() if hook is None or edit is None else self._spliced(hook, edit, replaced.to(ids.device))
        with spliced:
            return ids, self.text.model(**inputs).last_hidden_state

    @torch.no_grad()
    def logits_along(self, direction: Tensor) -> Tensor:
        """Return how a direction of the final hidden states [d_model] changes the logits, float32 [vocabulary].

        This is the unembedding matrix times the direction, through any processing of the logits, without their bias.
        """
        states = torch.stack([torch.zeros_like(direction), direction]).to(self.text.device, self.text.dtype)
        without, along = self.head(inputs_embeds=states[None]).logits[0].float()
        change: Tensor = along - without
        return change

    def _spliced(self, hook: HookPoint, edit: Callable[[Tensor], Tensor], positions: Tensor) -> Any:
        """Return a context in which `edit` replaces these positions of the flattened batch."""

        def edit_valid(tensor: Tensor) -> Tensor:
            flat = tensor.flatten(0, 1).clone()
            flat[positions] = edit(flat[positions]).to(flat)
            return flat.view_as(tensor)

        return splice(self.text.model, hook, edit_valid)

    def _cross_entropy(self, states: Tensor, targets: Tensor) -> Tensor:
        """Compute the loss of targets int64 [n] from the final hidden states [n, d] before them, in slices."""
        slice_length = max(1, LOGIT_ELEMENTS // self.head.config.get_text_config().vocab_size)
        losses = [states.new_zeros(0, dtype=torch.float32)]
        for part, target in zip(torch.split(states, slice_length), torch.split(targets, slice_length), strict=True):
            logits = self.head(inputs_embeds=part[None]).logits[0]
            losses.append(nn.functional.cross_entropy(logits.float(), target, reduction="none"))
        return torch.cat(losses)


@torch.no_grad()
def _is_causal(text: TextModel) -> bool:
    """Return whether hidden states are unchanged when a later token changes, tested on four tokens."""
    one, other = (
        text.model(**text.padded([np.array([0, 1, 2, last])])).last_hidden_state[0, :3].float() for last in (3, 4)
    )
    return torch.allclose(one, other, rtol=1e-3, atol=1e-3)
