"""Save a trained SAE in SAELens' format, with its quality and the densities of its latents."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError

from saefari.errors import StoreError
from saefari.saes.load import LoadedSae, load_sae
from saefari.saes.ref import SaeRef
from saefari.store.files import explain_os_error, read_json, write_json
from saefari.store.layout import SAE_DENSITY, SAE_QUALITY
from saefari.train.quality import evaluate
from saefari.train.sae_fit import SaeFit


def save_trained(
    fit: SaeFit,
    hidden: Sequence[torch.Tensor],
    cross_entropy: Callable[[LoadedSae], dict[str, Any] | None] = lambda loaded: None,
) -> None:
    """Write a trained SAE to its folder, atomically.

    hidden: held-out hidden states [n, d_in] on which the SAE, read back from disk, is evaluated; cross_entropy:
    measures it in a language model.
    quality.json: settings, training, Evaluation.summary(), cross_entropy, and the curves of the training.
    density.npz: `counts` int64 [d_sae], how many of the `n_positions` each latent was active at, and `log10_density`
    float32 [d_sae].
    """
    job = fit.job
    partial = job.folder.with_name(f".{job.folder.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        _, config = fit.finish().save_inference_model(partial)
        write_json(config, dict(sorted((read_json(config) or {}).items())))  # sae-lens writes keys in varying order
        loaded = load_sae(SaeRef(layer=job.layer, width=job.width, path=str(partial)), hidden[0].device)
        evaluation = evaluate(loaded, hidden)
        np.savez(
            partial / SAE_DENSITY,
            counts=evaluation.counts,
            n_positions=evaluation.quality.n_positions,
            log10_density=evaluation.log10_density,
        )
        trainer = fit.trainer
        record = {
            "settings": job.settings,
            "training": {"n_positions": trainer.n_training_samples, "n_steps": trainer.n_training_steps},
            **evaluation.summary(),
            "cross_entropy": cross_entropy(loaded),
            "curves": fit.curves.to_json(),
        }
        write_json(partial / SAE_QUALITY, record)
        for file in partial.iterdir():
            with file.open("rb+") as opened:
                os.fsync(opened.fileno())
        os.replace(partial, job.folder)
    except OSError as error:
        raise StoreError(f"{job.folder}: {explain_os_error(error)}; no partial result was kept") from error
    except SafetensorError as error:
        raise StoreError(f"{job.folder}: cannot be written ({error}); no partial result was kept") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
