"""Locate attention and MLP inside a block by tracing one small forward pass, independent of the model's name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from saefari.errors import ModelError


@dataclass(frozen=True)
class ModuleTensor:
    """The input or output of a module."""

    module: nn.Module
    side: Literal["input", "output"]


@dataclass(eq=False)
class _Call:
    """One call of a module: its hidden-state inputs and its output."""

    module: nn.Module
    inputs: list[Tensor]
    output: Tensor | None = None


class _BlockTraced(Exception):
    """Raised to stop the forward pass once the traced block has run."""


def locate_inside(model: nn.Module, block: nn.Module, site: str, name: str) -> ModuleTensor:
    """Find the module inside `block` whose input or output is the tensor at `site` (see models.hooks).

    Attention is the first child with weights whose name contains "attn" or "attention"; its projection is the last
    matrix it applies. What attention (or the MLP) adds to the stream is its output after the modules that read it
    alone (dropout, Gemma's post-norm). Raises ModelError, whose text begins with `name`, if there is no such tensor.
    """
    calls = _trace(model, block)
    attention = _attention(calls, block, name)
    projection = _last_projection(calls, attention.module)
    if site == "attn_z":
        return ModuleTensor(projection.module, "input")
    attn_out = _end_of_chain(calls, projection)
    if site == "attn_out":
        return ModuleTensor(attn_out.module, "output")
    if site == "mlp_out":
        return ModuleTensor(_end_of_chain(calls, _mlp(calls, block, attention, name)).module, "output")
    return _between(calls, attn_out, name)


def _attention(calls: Sequence[_Call], block: nn.Module, name: str) -> _Call:
    names = {module: child.lower() for child, module in block.named_children()}
    for call in calls:
        child = names.get(call.module, "")
        if ("attn" in child or "attention" in child) and _has_projection(call.module):
            return call
    parts = ", ".join(names.values())
    raise ModelError(f"{name}: found no attention in {type(block).__name__}, which has {parts}")


def _mlp(calls: Sequence[_Call], block: nn.Module, attention: _Call, name: str) -> _Call:
    """Find the last child with weights besides attention; its last matrix if the child adds the residual itself."""
    children = set(block.children()) - {attention.module}
    mlps = [call for call in calls if call.module in children and _has_projection(call.module)]
    if not mlps:
        raise ModelError(f"{name}: found no MLP in {type(block).__name__}")
    last = mlps[-1]
    return last if len(last.inputs) == 1 else _last_projection(calls, last.module)


def _between(calls: Sequence[_Call], attn_out: _Call, name: str) -> ModuleTensor:
    """Find resid_mid: the first new input after attention, if it equals block input + attention output."""
    block = calls[0]
    for call in calls[calls.index(attn_out) + 1 :]:
        if not call.inputs or _seen_before(calls, call):
            continue
        assert attn_out.output is not None
        expected = block.inputs[0] + attn_out.output
        if call.inputs[0].shape == expected.shape and torch.allclose(call.inputs[0], expected, rtol=1e-2):
            return ModuleTensor(call.module, "input")
        break
    kind = type(block.module).__name__
    raise ModelError(f"{name}: {kind} has no residual stream between attention and MLP")


def _seen_before(calls: Sequence[_Call], call: _Call) -> bool:
    earlier = calls[: calls.index(call)]
    return any(call.inputs[0] is tensor for other in earlier for tensor in (*other.inputs, other.output))


def _end_of_chain(calls: Sequence[_Call], start: _Call) -> _Call:
    """Follow modules that each read only the previous output, from `start`; return the last one."""
    end = start
    while (following := _reader(calls, end)) is not None:
        end = following
    return end


def _reader(calls: Sequence[_Call], source: _Call) -> _Call | None:
    assert source.output is not None
    for call in calls[calls.index(source) + 1 :]:
        # A hook cannot distinguish two calls of one module (a dropout); such a module is skipped.
        once = sum(other.module is call.module for other in calls) == 1
        alone = once and len(call.inputs) == 1 and call.inputs[0] is source.output
        if alone and call.output is not None and call.output.shape == source.output.shape:
            return call
    return None


def _last_projection(calls: Sequence[_Call], parent: nn.Module) -> _Call:
    inside = set(parent.modules())
    return [call for call in calls if call.module in inside and _is_projection(call.module)][-1]


def _is_projection(module: nn.Module) -> bool:
    """Return whether a module is a matrix: Linear, GPT-2's Conv1D, or a quantised variant."""
    weight = getattr(module, "weight", None)
    return isinstance(weight, Tensor) and weight.ndim == 2 and not isinstance(module, nn.Embedding)


def _has_projection(module: nn.Module) -> bool:
    return any(_is_projection(inner) for inner in module.modules())


def _trace(model: nn.Module, block: nn.Module) -> list[_Call]:
    """Record every module call within `block`, the block's own first, on `example_input`."""
    calls: list[_Call] = []
    open_calls: list[_Call] = []

    def enter(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        call = _Call(module, [v for v in (*args, *kwargs.values()) if _is_hidden(v)])
        calls.append(call)
        open_calls.append(call)

    def leave(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        first = output[0] if isinstance(output, (tuple, list)) else output
        open_calls.pop().output = first if _is_hidden(first) else None
        if module is block:
            raise _BlockTraced

    handles = []
    try:
        for module in block.modules():
            handles.append(module.register_forward_pre_hook(enter, with_kwargs=True))
            handles.append(module.register_forward_hook(leave))
        with torch.no_grad():
            model(**example_input(model))
    except _BlockTraced:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return calls


def example_input(model: nn.Module) -> dict[str, Tensor]:
    """Return a small input for the model: four tokens, or one image."""
    device = next(model.parameters()).device
    if getattr(model, "main_input_name", "") != "pixel_values":
        return {"input_ids": torch.arange(4, device=device)[None]}
    config: Any = model.config
    size = config.image_size
    height, width = size if isinstance(size, (list, tuple)) else (size, size)
    pixels = torch.linspace(-1, 1, 3 * height * width, device=device).view(1, 3, height, width)
    return {"pixel_values": pixels.to(next(model.parameters()).dtype)}


def _is_hidden(value: Any) -> bool:
    """Return whether a value is a hidden state, [batch, positions, d], not a mask or a list of positions."""
    return isinstance(value, Tensor) and value.is_floating_point() and value.ndim == 3
