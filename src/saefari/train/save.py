"""Write a trained SAE: SAELens' own format, its quality, and how often each latent is active."""

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
from saefari.train.trainee import Trainee


def save_trained(
    trainee: Trainee,
    hidden: Sequence[torch.Tensor],
    cross_entropy: Callable[[LoadedSae], dict[str, Any] | None] = lambda loaded: None,
) -> None:
    """Write a trained SAE as one folder that appears whole or not at all.

    hidden: held-out hidden states [n, d_in] on which the SAE, as read back from the disk, is measured; cross_entropy
    measures what it does to a language model.
    quality.json: settings, training, Evaluation.summary(), cross_entropy, and the curves of the training.
    density.npz: `counts` int64 [d_sae], the positions of `n_positions` at which each latent was active, and their
    `log10_density` float32 [d_sae].
    """
    job = trainee.job
    partial = job.folder.with_name(f".{job.folder.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        _, config = trainee.finish().save_inference_model(partial)
        write_json(config, dict(sorted((read_json(config) or {}).items())))  # sae-lens orders the keys anew each time
        loaded = load_sae(SaeRef(layer=job.layer, width=job.width, path=str(partial)), hidden[0].device)
        evaluation = evaluate(loaded, hidden)
        np.savez(
            partial / SAE_DENSITY,
            counts=evaluation.counts,
            n_positions=evaluation.quality.n_positions,
            log10_density=evaluation.log10_density,
        )
        trainer = trainee.trainer
        record = {
            "settings": job.settings,
            "training": {"n_positions": trainer.n_training_samples, "n_steps": trainer.n_training_steps},
            **evaluation.summary(),
            "cross_entropy": cross_entropy(loaded),
            "curves": trainee.curves.to_json(),
        }
        write_json(partial / SAE_QUALITY, record)
        for file in partial.iterdir():
            with file.open("rb+") as opened:
                os.fsync(opened.fileno())
        os.replace(partial, job.folder)
    except OSError as error:
        raise StoreError(f"{job.folder}: {explain_os_error(error)}; nothing half-written is counted as done") from error
    except SafetensorError as error:
        raise StoreError(
            f"{job.folder}: cannot be written ({error}); nothing half-written is counted as done"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
