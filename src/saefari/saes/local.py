"""An SAE in a local SAELens folder, looked at without loading it."""

from __future__ import annotations

import json
from pathlib import Path

from saefari.errors import PATH_LENGTH, ModelError, SaeError, shown
from saefari.saes.catalogue import Location
from saefari.saes.ref import SaeRef


def find_local_sae(template: str, layer: int, width: str, location: Location) -> SaeRef:
    """The SAE in the folder that `template` names once {layer} and {width} are filled in.

    Its metadata says which hook point it reads. Where that is left out, as `SAE.save_model` does by default, it is
    assumed to be `location` of the layer. Raises SaeError when there is no such folder, it is not in SAELens' format,
    or its hook point is at another layer.
    """
    path = template.replace("{layer}", str(layer)).replace("{width}", width)
    for name in ("cfg.json", "sae_weights.safetensors"):
        if not Path(path, name).is_file():
            raise SaeError(f"{shown(path, PATH_LENGTH)} is no SAELens folder: there is no {name} in it")
    hook = _hook_name(path)
    if hook is None:
        return SaeRef(layer=layer, width=width, path=path, hook=_at(layer, location), hook_is_assumed=True)
    _check_layer(path, hook, layer)
    return SaeRef(layer=layer, width=width, path=path, hook=hook)


def _hook_name(path: str) -> str | None:
    """The hook point in the folder's metadata, where it is in newer and in older SAELens folders."""
    try:
        config = json.loads(Path(path, "cfg.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SaeError(f"{path!r}: cfg.json cannot be read ({error})") from None
    name = (config.get("metadata") or {}).get("hook_name") or config.get("hook_name") or config.get("hook_point")
    return None if name is None else str(name)


def _at(layer: int, location: Location) -> str:
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
