"""Write a trained SAE: SAELens' own format, its quality, and how often each latent is active."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError

from saefari.errors import StoreError
from saefari.saes.encode import encode
from saefari.saes.load import load_sae
from saefari.saes.quality import Quality
from saefari.saes.ref import SaeRef
from saefari.store.files import explain, read_json, write_json
from saefari.store.layout import SAE_DENSITY, SAE_QUALITY


def save_trained(
    sae: Any,
    folder: Path,
    layer: int,
    width: str,
    settings: dict[str, Any],
    training: dict[str, Any],
    hidden: Sequence[torch.Tensor],
) -> None:
    """Write a sae-lens training SAE as one folder that appears whole or not at all.

    hidden: hidden states [n, d_in] on which the SAE, as read back from the disk, is measured.
    quality.json: settings, training, and Quality.summary().
    density.npz: `counts` int64 [d_sae], the positions of `n_positions` at which each latent was active.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        _, config = sae.save_inference_model(partial)
        write_json(config, dict(sorted((read_json(config) or {}).items())))  # sae-lens orders the keys anew each time
        quality = _measure(SaeRef(layer=layer, width=width, path=str(partial)), hidden)
        np.savez(partial / SAE_DENSITY, counts=quality.counts, n_positions=quality.n_positions)
        write_json(partial / SAE_QUALITY, {"settings": settings, "training": training, **quality.summary()})
        for file in partial.iterdir():
            with file.open("rb+") as opened:
                os.fsync(opened.fileno())
        os.replace(partial, folder)
    except OSError as error:
        raise StoreError(f"{folder}: {explain(error)}; nothing half-written is counted as done") from error
    except SafetensorError as error:
        raise StoreError(f"{folder}: cannot be written ({error}); nothing half-written is counted as done") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _measure(ref: SaeRef, hidden: Sequence[torch.Tensor]) -> Quality:
    """Quality of the SAE that `ref` names, over all of `hidden`."""
    loaded = load_sae(ref, hidden[0].device)
    return reduce(Quality.merge, (Quality.measure(loaded, part, encode(loaded, part)) for part in hidden))
