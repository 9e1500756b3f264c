"""Hook points of a transformer, and context managers that read or replace their tensors and remove the hooks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from saefari.errors import ModelError
from saefari.models.find_modules import ModuleTensor, locate_inside
from saefari.models.registry import text_config

Site = Literal["resid_pre", "resid_mid", "resid_post", "attn_out", "attn_z", "mlp_out"]
Location = Literal["res", "mlp", "att"]

_NAMES: dict[Site, str] = {site: f"hook_{site}" for site in get_args(Site)} | {"attn_z": "attn.hook_z"}
_SITES = {name: site for site, name in _NAMES.items()}
_SITE_OF_LOCATION: dict[Location, Site] = {"res": "resid_post", "mlp": "mlp_out", "att": "attn_z"}


@dataclass(frozen=True, order=True)
class HookPoint:
    """One place in one block, with TransformerLens' meaning and name.

    resid_pre, resid_post: the block's input and output; for an encoder that normalises after adding (BERT)
    resid_post is the normalised output, which is what Hugging Face calls a hidden state.
    attn_out, mlp_out: what attention and MLP add to the residual stream (after Gemma's post-norms);
    resid_mid: the stream between them; attn_z: the heads' outputs before the projection, heads flattened.
    """

    layer: int
    site: Site

    @classmethod
    def parse(cls, name: str) -> HookPoint:
        """Parse a TransformerLens name. Raises ModelError for an unsupported name."""
        match = re.fullmatch(r"blocks\.(\d+)\.(.+)", name)
        if match is None or match[2] not in _SITES:
            known = ", ".join(f"blocks.L.{known}" for known in _SITES)
            raise ModelError(f"hook point {name!r} is not supported; supported: {known}")
        return cls(int(match[1]), _SITES[match[2]])

    @classmethod
    def for_location(cls, layer: int, location: Location) -> HookPoint:
        """Return the point for `settings.sae_location`: res = resid_post, mlp = mlp_out, att = attn_z."""
        return cls(layer, _SITE_OF_LOCATION[location])

    @property
    def name(self) -> str:
        """The TransformerLens name, for example ``blocks.3.hook_resid_post``."""
        return f"blocks.{self.layer}.{_NAMES[self.site]}"

    def __str__(self) -> str:
        return self.name


class _Stop(Exception):
    """Raised to end the forward pass once every requested tensor is captured."""


def find_blocks(model: nn.Module) -> nn.ModuleList:
    """Return the model's transformer blocks, in order.

    They are the outermost `ModuleList` of `num_hidden_layers` modules of one class; of several, the one with the most
    parameters. Raises ModelError if there is none, for example if all layers share one block.
    """
    count = text_config(model.config).num_hidden_layers
    lists = [(name, m) for name, m in model.named_modules() if isinstance(m, nn.ModuleList)]
    fits = [(name, m) for name, m in lists if len(m) == count and len({type(b) for b in m}) == 1]
    outer = [m for name, m in fits if not any(name.startswith(f"{other}.") for other, _ in fits)]
    if not outer:
        raise ModelError(
            f"{type(model).__name__}: found no list of {count} transformer blocks of one class, so its hidden states "
            "cannot be told by layer (layers that share one block, as ALBERT's, are not supported): use another model"
        )
    return max(outer, key=lambda blocks: sum(p.numel() for p in blocks.parameters()))


@contextmanager
def capture(model: nn.Module, hooks: Sequence[HookPoint]) -> Iterator[dict[HookPoint, Tensor]]:
    """Collect the tensors at `hooks` from the forward pass run inside the `with` block.

    The forward pass stops once the last of them is captured, so its own result must not be used. Yields a dict
    filled during the pass: [batch, positions, d] each, on the model's device, not copied. The hooks are always
    removed. Raises ModelError for a layer or site that the model does not have.
    """
    targets = {hook: _located(model, hook) for hook in hooks}
    found: dict[HookPoint, Tensor] = {}
    handles = []

    def keep(hook: HookPoint, tensor: Tensor) -> None:
        found[hook] = tensor
        if len(found) == len(targets):
            raise _Stop

    try:
        for hook, target in targets.items():
            handles.append(_register(target, hook, keep))
        yield found
    except _Stop:
        pass
    finally:
        for handle in handles:
            handle.remove()


def _register(target: ModuleTensor, hook: HookPoint, keep: Any) -> Any:
    if target.side == "input":
        return target.module.register_forward_pre_hook(
            lambda module, args, kwargs: keep(hook, hidden_input(args, kwargs)), with_kwargs=True
        )
    return target.module.register_forward_hook(lambda module, args, output: keep(hook, hidden_output(output)))


@contextmanager
def splice(model: nn.Module, hook: HookPoint, edit: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Replace the tensor at `hook` by `edit(tensor)` in forward passes inside the `with` block.

    edit: maps [batch, positions, d] to the same shape, type and device, without modifying its argument. The hook is
    always removed. Raises ModelError for a layer or site that the model does not have, and for resid_mid, which is
    the output of no module.
    """
    if hook.site == "resid_mid":
        raise ModelError(f"{hook}: this tensor cannot be replaced; choose resid_post, mlp_out or attn_z")
    target = _located(model, hook)
    if target.side == "input":
        handle = target.module.register_forward_pre_hook(
            lambda module, args, kwargs: _with_input(args, kwargs, edit(hidden_input(args, kwargs))), with_kwargs=True
        )
    else:
        handle = target.module.register_forward_hook(
            lambda module, args, output: _with_output(output, edit(hidden_output(output)))
        )
    try:
        yield
    finally:
        handle.remove()


def hidden_input(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """Return the hidden state among a block's arguments: the first positional one, or `hidden_states`."""
    tensor = args[0] if args else kwargs["hidden_states"]
    assert isinstance(tensor, Tensor)
    return tensor


def hidden_output(output: Any) -> Tensor:
    """Return the hidden state in a module's output: the tensor itself, or the first item of a tuple."""
    tensor = output[0] if isinstance(output, (tuple, list)) else output
    assert isinstance(tensor, Tensor)
    return tensor


def _with_input(args: tuple[Any, ...], kwargs: dict[str, Any], tensor: Tensor) -> tuple[Any, Any]:
    """Replace the hidden state in a block's arguments."""
    return ((tensor, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": tensor})


def _with_output(output: Any, tensor: Tensor) -> Any:
    """Replace the hidden state in a module's output; keep the other items of a tuple."""
    return type(output)((tensor, *output[1:])) if isinstance(output, (tuple, list)) else tensor


_LOCATED: WeakKeyDictionary[nn.Module, dict[HookPoint, ModuleTensor]] = WeakKeyDictionary()


def _located(model: nn.Module, hook: HookPoint) -> ModuleTensor:
    """Locate `hook` in `model`, once per model."""
    known = _LOCATED.setdefault(model, {})
    if hook not in known:
        known[hook] = _locate(model, hook)
    return known[hook]


def _locate(model: nn.Module, hook: HookPoint) -> ModuleTensor:
    blocks = find_blocks(model)
    if hook.layer >= len(blocks):
        raise ModelError(f"{hook}: {type(model).__name__} has the layers 0 to {len(blocks) - 1}")
    block = blocks[hook.layer]
    if hook.site == "resid_pre":
        return ModuleTensor(block, "input")
    if hook.site == "resid_post":
        return ModuleTensor(block, "output")
    return locate_inside(model, block, hook.site, hook.name)
