"""Detect whether the same model was run before, so that its structure needs no check."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from saefari.config import ModelSpec, Settings
from saefari.errors import SaefariError
from saefari.models.hooks import HookPoint
from saefari.models.identity import model_settings
from saefari.names import HIDDEN
from saefari.store import Manifest
from saefari.store.layout import MANIFEST


def has_stored_run(spec: ModelSpec, settings: Settings, model_folder: Path) -> bool:
    """Return whether hidden states of the same model and library versions are stored for each of its layers.

    model_folder: of the model's samples. The digest of the weights and the hook point of each layer must match those
    recorded in the manifests.
    """
    wanted = {HookPoint.for_location(layer, settings.sae_location).name for layer in spec.layers}
    manifests = list(_manifests(model_folder))
    if not wanted <= {str(manifest.settings.get("hook")) for manifest in manifests}:
        return False
    try:
        model = model_settings(spec.name, spec.revision, settings.dtype, settings.device)
    except SaefariError:
        return False  # the checks of the plan report it
    return wanted <= {manifest.settings["hook"] for manifest in manifests if manifest.settings.get("model") == model}


def _manifests(model_folder: Path) -> Collection[Manifest]:
    """Return the manifests of hidden states with at least one stored shard."""
    found = []
    for path in sorted(model_folder.rglob(f"{HIDDEN}/{MANIFEST}")):
        try:
            manifest = Manifest.load(path.parent)
        except (SaefariError, KeyError, TypeError):
            continue  # extraction reports the damage
        if manifest is not None and manifest.shards:
            found.append(manifest)
    return found
