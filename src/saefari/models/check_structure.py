"""Check a model's structure on a copy without weights, which needs neither a download nor memory."""

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
    """Raise ModelError if the model's blocks cannot be found or it lacks one of the hook points.

    Also if transformers cannot build it, or an `llm` reads no texts. What needs weights to check is assumed correct.
    """
    part = _part(name, revision, model_type, reach_hub)
    if part is None:
        return
    find_blocks(part)
    for hook in hooks:
        # The forward pass that locates modules inside a block may depend on values, which a meta tensor lacks.
        with suppress(RuntimeError, NotImplementedError, TypeError), torch.no_grad(), capture(part, [hook]):
            part(**example_input(part))


def _part(name: str, revision: str | None, model_type: ModelType, reach_hub: bool) -> Any:
    """Build the part of a model that has the hook points, without weights; None if it needs weights to be built."""
    config = read_config(name, revision, reach_hub=reach_hub)
    try:
        model = skeleton(config)
    except RuntimeError:
        return None
    except (ValueError, TypeError, LookupError, AttributeError, ImportError) as error:
        raise ModelError(f"model {name!r} ({config.model_type}) cannot be built: {shortened(error)}") from None
    if model_type == "vit":
        return vision_part(model)
    if model_type == "vlm":
        return model.get_decoder()
    part = text_part(model)
    if part.main_input_name != "input_ids":
        raise ModelError(f"model {name!r} ({config.model_type}) reads {part.main_input_name}, not texts")
    return part
