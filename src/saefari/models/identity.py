"""Identity of a model and its precision, determined without loading its weights."""

from __future__ import annotations

from pathlib import Path

from saefari.models.pretrained import pick_device, pick_dtype, weights_digest
from saefari.models.registry import describe, resolve_model
from saefari.provenance import library_versions


def model_settings(name: str, revision: str | None, dtype: str, device: str) -> dict[str, str]:
    """Return everything about the model that shapes hidden states, without a path; part of every manifest.

    A hub model is identified by its commit, any other by the digest of its weights (a second per gigabyte).
    """
    info = describe(name, revision)
    location, _ = resolve_model(name, revision)
    return {
        "name": info.slug,
        "weights": info.revision or weights_digest(Path(location)),
        "dtype": str(pick_dtype(dtype, pick_device(device))).removeprefix("torch."),
        **library_versions("torch", "transformers"),
    }
