"""Load and cache the models and SAEs that stored features were made with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from saefari.errors import ModelError, SaeError
from saefari.fingerprint import file_sha256

if TYPE_CHECKING:
    from saefari.config import ModelType
    from saefari.models.forward import Model
    from saefari.saes.load import LoadedSae

_DIGEST = re.compile(r"[0-9a-f]{64}")  # of a local model's files; a hub model is recorded by its commit


@lru_cache(maxsize=2)
def live_model(model_type: ModelType, name: str, weights: str, dtype: str) -> Model:
    """Load the model recorded in a manifest. weights: its commit on the hub, or a digest of its files."""
    from saefari.models.identity import model_settings
    from saefari.models.model_types import load_model
    from saefari.models.registry import describe, resolve_model
    from saefari.models.source import ModelSource

    is_digest = _DIGEST.fullmatch(weights) is not None
    revision = None if is_digest else weights
    if is_digest and resolve_model(name)[1] == "hub":
        raise ModelError(
            f"model {name!r} was loaded from a folder, and and paths are not recorded: give its path as the model"
        )
    describe(name, revision, reach_hub=False, model_type=model_type)  # raises if not on this machine: no download
    if model_settings(name, revision, dtype, "auto")["weights"] != weights:
        raise ModelError(f"model {name!r} has other weights than the stored features were made with ({weights[:12]}…)")
    return load_model(ModelSource(model_type, name, revision, dtype))


@lru_cache(maxsize=2)
def live_sae(
    saes: Path,
    layer: int,
    width: str,
    hook: str | None,
    recorded: tuple[tuple[str, str], ...],
    weights_sha256: str,
    device: str,
) -> LoadedSae:
    """Load the SAE recorded in a manifest, by its catalogue id or by the digests of its files."""
    from saefari.saes.load import load_sae
    from saefari.saes.ref import SaeRef

    names = dict(recorded)
    if "release" in names:
        ref = SaeRef(layer, width, release=names["release"], sae_id=names["sae_id"], hook=hook)
    else:
        ref = SaeRef(layer, width, path=str(_folder_of(saes, recorded)), hook=hook)
    loaded = load_sae(ref, device)
    if loaded.weights_sha256 != weights_sha256:
        raise SaeError(f"{ref.title} has other weights than the stored codes were made with: run the extraction again")
    return loaded


def _folder_of(saes: Path, files: Sequence[tuple[str, str]]) -> Path:
    """Return the folder below `saes` whose files have these SHA-256 digests."""
    for config in sorted(saes.rglob("cfg.json")):
        folder = config.parent
        if all((folder / name).is_file() and file_sha256(folder / name) == digest for name, digest in files):
            return folder
    raise SaeError(
        f"the SAE of the stored codes is not below {saes}, and its path is not recorded: copy its folder there, or, if "
        "it was trained again since, run `python run_experiments.py` again"
    )
