"""Check a model's structure on a copy of it without weights, which costs neither a download nor memory."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch

from saefari.config import ModelType
from saefari.errors import ModelError, shortened
from saefari.models.find_modules import example_input
from saefari.models.hooks import HookPoint, capture, find_blocks
from saefari.models.pretrained import skeleton, text_part
from saefari.models.registry import read_config
from saefari.models.vision_model import vision_part


def check_hooks(
    name: str, revision: str | None, model_type: ModelType, hooks: Sequence[HookPoint], *, reach_hub: bool = True
) -> None:
    """Raise ModelError for a model whose blocks cannot be found, or which has no such hook points.

    Also for one that transformers cannot build, and for an `llm` that reads no texts. What only a model with weights
    could tell is taken to be right.
    """
    part = _part(name, revision, model_type, reach_hub)
    if part is None:
        return
    find_blocks(part)
    for hook in hooks:
        # A forward pass, by which modules inside a block are told apart, may look at values, of which there are none.
        with suppress(RuntimeError, NotImplementedError, TypeError), torch.no_grad(), capture(part, [hook]):
            part(**example_input(part))


def _part(name: str, revision: str | None, model_type: ModelType, reach_hub: bool) -> Any:
    """The part of a model that hook points are in, without weights; None where it cannot be built without them."""
    config = read_config(name, revision, reach_hub=reach_hub)
    try:
        whole = skeleton(config)
    except RuntimeError:
        return None
    except (ValueError, TypeError, LookupError, AttributeError, ImportError) as error:
        raise ModelError(f"model {name!r} ({config.model_type}) cannot be built: {shortened(error)}") from None
    if model_type == "vit":
        return vision_part(whole)
    if model_type == "vlm":
        return whole.get_decoder()
    part = text_part(whole)
    if part.main_input_name != "input_ids":
        raise ModelError(f"model {name!r} ({config.model_type}) reads {part.main_input_name}, not texts")
    return part
