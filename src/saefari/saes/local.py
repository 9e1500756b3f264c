"""Find an SAE in a local SAELens folder, without loading it."""

from __future__ import annotations

import json
from pathlib import Path

from saefari.errors import PATH_LENGTH, ModelError, SaeError, shown
from saefari.saes.catalogue import Location
from saefari.saes.ref import SaeRef


def find_local_sae(template: str, layer: int, width: str, location: Location) -> SaeRef:
    """Find the SAE in the folder given by `template` with {layer} and {width} filled in.

    The hook point comes from its metadata. If missing, as `SAE.save_model` leaves it by default, `location` of the
    layer is assumed. Raises SaeError if the folder is missing, is not in SAELens' format, or has another layer's hook
    point.
    """
    path = template.replace("{layer}", str(layer)).replace("{width}", width)
    for name in ("cfg.json", "sae_weights.safetensors"):
        if not Path(path, name).is_file():
            raise SaeError(f"{shown(path, PATH_LENGTH)} is no SAELens folder: {name} is missing")
    hook = _hook_name(path)
    if hook is None:
        return SaeRef(layer=layer, width=width, path=path, hook=_hook_at(layer, location), hook_is_assumed=True)
    _check_layer(path, hook, layer)
    return SaeRef(layer=layer, width=width, path=path, hook=hook)


def _hook_name(path: str) -> str | None:
    """Read the hook point from the metadata of a newer or older SAELens folder."""
    try:
        config = json.loads(Path(path, "cfg.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SaeError(f"{path!r}: cfg.json cannot be read ({error})") from None
    name = (config.get("metadata") or {}).get("hook_name") or config.get("hook_name") or config.get("hook_point")
    return None if name is None else str(name)


def _hook_at(layer: int, location: Location) -> str:
    from saefari.models.hooks import HookPoint

    return HookPoint.for_location(layer, location).name


def _check_layer(path: str, hook: str, layer: int) -> None:
    from saefari.models.hooks import HookPoint

    try:
        actual = HookPoint.parse(hook).layer
    except ModelError as error:
        raise SaeError(f"{path!r}: {error}") from error
    if actual != layer:
        raise SaeError(f"{path!r}: its hook point {hook} is layer {actual}, not layer {layer}")
