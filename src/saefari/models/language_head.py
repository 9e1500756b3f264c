"""A text model with its language-modelling head: how well it predicts, with a hidden state as it is or replaced."""

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
"""Logits in memory at once: 128 MB in float32, 128 positions of Gemma's vocabulary."""


class NoLanguageHead(ModelError):
    """The checkpoint cannot predict next tokens; its text says why."""


class _Blocks:
    """What the blocks return, of which only the hidden states are there."""

    def __init__(self, states: Tensor) -> None:
        self.last_hidden_state = states

    def __getitem__(self, index: int) -> Tensor:
        return (self.last_hidden_state,)[index]

    def __getattr__(self, name: str) -> None:
        return None


class _GivenStates(nn.Module):
    """Stands where the blocks were: passes on final hidden states, so that only the head is computed."""

    def forward(self, *args: Any, inputs_embeds: Tensor, **kwargs: Any) -> _Blocks:
        return _Blocks(inputs_embeds)


class LanguageModel:
    """A decoder, its blocks shared with a TextModel, and its head with all that the model does to its logits."""

    def __init__(self, text: TextModel, head: Any) -> None:
        """Put loaded parts together; `of` is the usual way in."""
        self.text = text
        self.head = head

    @classmethod
    def of(cls, text: TextModel) -> LanguageModel:
        """Add the head from the same checkpoint, under the same rules, in the same precision on the same device.

        Raises NoLanguageHead for an encoder, a kind of model that has no such head, and a checkpoint that
        holds none and does not share the embedding's weights with it.
        """
        from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoModelForCausalLM

        name = text.info.name
        if not _is_causal(text):
            raise NoLanguageHead(f"model {name!r} sees the tokens that it would have to predict: it is an encoder")
        config = read_config(name, text.info.revision)
        if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
            raise NoLanguageHead(f"model {name!r}: transformers has no language model of the kind {config.model_type}")
        location, _ = resolve_model(name, text.info.revision)
        whole, missing = read_weights(AutoModelForCausalLM, text.info, location, text.dtype)
        if missing:
            raise NoLanguageHead(f"model {name!r}: its files hold no language-modelling head ({missing[0]})")
        if whole.base_model is whole:
            raise NoLanguageHead(f"model {name!r}: the head of a {type(whole).__name__} cannot be told from its blocks")
        setattr(whole, whole.base_model_prefix, _GivenStates())
        return cls(text, whole.to(text.device).eval().requires_grad_(False))

    @torch.no_grad()
    def losses(
        self,
        rows: Sequence[TokenRow],
        hook: HookPoint | None = None,
        edit: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Cross-entropy in nats, float32 [n_targets], of each token that counts given those before it.

        rows: one batch. The tokens at a row's valid positions count, unless it begins with one.
        hook, edit: together; valid positions at `hook`, [n_positions, d] in the model's dtype, become
        `edit(them)`, any float type on any device. Raises ModelError for a hook that cannot be replaced.
        """
        inputs = self.text.padded([row.input_ids for row in rows])
        ids = inputs["input_ids"]
        assert ids is not None
        where, _ = valid_positions([row.valid for row in rows], ids.shape[1])
        spliced = nullcontext() if hook is None or edit is None else self._spliced(hook, edit, where.to(ids.device))
        with spliced:
            states = self.text.model(**inputs).last_hidden_state
        targets, _ = valid_positions([row.valid[row.valid > 0] for row in rows], ids.shape[1])
        targets = targets.to(ids.device)
        return self._cross_entropy(states.flatten(0, 1)[targets - 1], ids.flatten()[targets])

    def _spliced(self, hook: HookPoint, edit: Callable[[Tensor], Tensor], where: Tensor) -> Any:
        """The context in which `edit` replaces the positions `where` of the flattened batch."""

        def edit_valid(tensor: Tensor) -> Tensor:
            flat = tensor.flatten(0, 1).clone()
            flat[where] = edit(flat[where]).to(flat)
            return flat.view_as(tensor)

        return splice(self.text.model, hook, edit_valid)

    def _cross_entropy(self, states: Tensor, targets: Tensor) -> Tensor:
        """Of targets int64 [n] under the final hidden states [n, d] before them, a slice at a time."""
        slice_length = max(1, LOGIT_ELEMENTS // self.head.config.get_text_config().vocab_size)
        losses = [states.new_zeros(0, dtype=torch.float32)]
        for part, wanted in zip(torch.split(states, slice_length), torch.split(targets, slice_length), strict=True):
            logits = self.head(inputs_embeds=part[None]).logits[0]
            losses.append(nn.functional.cross_entropy(logits.float(), wanted, reduction="none"))
        return torch.cat(losses)


@torch.no_grad()
def _is_causal(text: TextModel) -> bool:
    """Whether hidden states stay the same when a later token changes, tried on four tokens."""
    one, other = (
        text.model(**text.padded([np.array([0, 1, 2, last])])).last_hidden_state[0, :3].float() for last in (3, 4)
    )
    return torch.allclose(one, other, rtol=1e-3, atol=1e-3)
