"""What a local SAELens folder says of itself, read without sae-lens or torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from saefari.errors import SaeError


def folder_hook(folder: Path, layer: int) -> str | None:
    """The hook point that a folder's cfg.json names; None where it names none.

    Raises SaeError when the folder is no SAELens folder, or its hook point is at another layer.
    """
    config = _config(folder)
    hook = (config.get("metadata") or {}).get("hook_name") or config.get("hook_name")
    if hook is not None and f".{layer}." not in f".{hook}.":
        raise SaeError(f"the SAE in {str(folder)!r} reads {hook}, which is not layer {layer}")
    return hook


def _config(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise SaeError(f"there is no folder {str(folder)!r}")
    for name in ("cfg.json", "sae_weights.safetensors"):
        if not (folder / name).is_file():
            raise SaeError(f"{str(folder)!r} is no SAELens folder: it holds no {name}")
    try:
        config = json.loads((folder / "cfg.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SaeError(f"{str(folder / 'cfg.json')!r} cannot be read: {error}") from None
    if not isinstance(config, dict):
        raise SaeError(f"{str(folder / 'cfg.json')!r} holds no settings")
    return config
