"""Identity of an SAE, determined without loading it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from saefari.errors import SaeError
from saefari.fingerprint import file_digest
from saefari.provenance import library_versions
from saefari.saes.ref import SaeRef


def sae_settings(ref: SaeRef) -> dict[str, Any]:
    """Return what identifies an SAE: its release and id in the catalogue, or the digests of its files.

    Raises SaeError if its files cannot be read.
    """
    if ref.path is None:
        return {"release": ref.release, "sae_id": ref.sae_id, **library_versions("sae-lens")}
    folder = Path(ref.path)
    try:
        return {name: file_digest(folder / name) for name in ("cfg.json", "sae_weights.safetensors")}
    except OSError as error:
        raise SaeError(f"{ref.title} cannot be read: {error}") from None
