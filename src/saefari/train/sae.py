"""Train the SAEs of one model together, from one forward pass per batch, with sae-lens' trainers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from saefari.config import SaeTraining
from saefari.errors import ConflictError, SaeError
from saefari.fingerprint import fingerprint
from saefari.models.forward import Forward
from saefari.models.hooks import HookPoint
from saefari.models.text import TextModel
from saefari.store.files import read_json
from saefari.store.layout import SAE_QUALITY
from saefari.train.activations import TokenRows, count_positions, shuffled_batches, stream_activations
from saefari.train.architectures import new_sae
from saefari.train.resampling import Resampler
from saefari.train.save import save_trained

EVALUATION_POSITIONS = 32_768
"""Further positions on which a trained SAE's quality is measured."""
DECAY_SHARE = 0.2
"""Last share of the steps over which the learning rate falls to zero."""


@dataclass(frozen=True)
class SaeJob:
    """One SAE to train; safe to run twice."""

    layer: int
    width: str
    training: SaeTraining
    hook: HookPoint
    folder: Path
    """Where the SAE goes, in SAELens' format."""
    settings: dict[str, Any]
    """JSON-able: everything that shapes the SAE. It decides whether a trained one is reused."""


def is_trained(job: SaeJob) -> bool:
    """Whether the job's folder already holds this SAE.

    Raises ConflictError, naming what differs, when it holds one that was trained with other settings.
    """
    record = read_json(job.folder / SAE_QUALITY)
    if record is None:
        return False
    stored = record["settings"]
    differing = sorted(key for key in stored | job.settings if stored.get(key) != job.settings.get(key))
    if differing:
        changes = "; ".join(f"{key}: {stored.get(key)!r} there, {job.settings.get(key)!r} now" for key in differing)
        raise ConflictError(
            f"{job.folder} holds an SAE trained with other settings ({changes}); "
            f"give the new one another width name, or add --overwrite"
        )
    return True


def train_saes(
    model: TextModel,
    token_rows: TokenRows,
    jobs: Sequence[SaeJob],
    seed: int,
    max_tokens_per_batch: int,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Train every SAE that is not there yet and write each to its folder, whole or not at all.

    token_rows: starts a pass over the training texts, in an order that does not sort them by class.
    jobs: all with the same training section, apart from `d_sae`.
    progress: told the positions trained since its last call; they add up to `n_positions`.
    The result depends on the seed, not on the caller's random state, which is left as it was.
    Raises SaeError for settings that cannot work, texts shorter than one batch, or a loss that is not finite.
    """
    jobs = [job for job in jobs if not is_trained(job)]
    if not jobs:
        return
    training = _shared_training(jobs)
    if (available := count_positions(token_rows, training.batch_size)) < training.batch_size:
        raise SaeError(
            f"the training rows hold {available} positions, fewer than one batch: "
            f"lower sae_train.batch_size ({training.batch_size}) or give more rows"
        )
    hooks = list(dict.fromkeys(job.hook for job in jobs))
    gpus = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        torch.manual_seed(seed)
        stream = stream_activations(Forward(model, max_tokens_per_batch), token_rows, hooks)
        buffer_size = max(training.batch_size, min(training.buffer_size, training.n_positions))
        batches = shuffled_batches(stream, hooks, training.batch_size, buffer_size)
        trainers = _train(jobs, training, batches, seed, progress)
        evaluation = min(EVALUATION_POSITIONS, training.n_positions)
        samples = [next(batches) for _ in range(math.ceil(evaluation / training.batch_size))]
    for job, trainer in zip(jobs, trainers, strict=True):
        figures = {"n_positions": trainer.n_training_samples, "n_steps": trainer.n_training_steps}
        save_trained(
            trainer.sae,
            job.folder,
            job.layer,
            job.width,
            job.settings,
            figures,
            [batch[job.hook] for batch in samples],
        )


def _shared_training(jobs: Sequence[SaeJob]) -> SaeTraining:
    """The training section of all jobs; they differ in `d_sae` alone."""
    shared = {job.training.model_copy(update={"d_sae": None}) for job in jobs}
    if len(shared) > 1:
        raise ValueError("SAEs trained together share one training section")
    return jobs[0].training


def _train(
    jobs: Sequence[SaeJob],
    training: SaeTraining,
    batches: Iterator[dict[HookPoint, torch.Tensor]],
    seed: int,
    progress: Callable[[int], None] | None,
) -> list[Any]:
    """sae-lens' trainers, one per job, after their last step.

    Folded into the weights: the input scale, and the norms of the decoder's rows, which are one afterwards.
    """
    n_steps = math.ceil(training.n_positions / training.batch_size)
    trainers: list[Any] = []
    resamplers: list[Resampler | None] = []
    for step in range(n_steps):
        batch = next(batches)
        if not trainers:
            trainers = [_trainer(job, training, batch[job.hook], n_steps, seed) for job in jobs]
            resamplers = [_resampler(job, batch[job.hook].device, n_steps, seed) for job in jobs]
        for job, trainer, resampler in zip(jobs, trainers, resamplers, strict=True):
            output = trainer.step(batch[job.hook])
            trainer.n_training_steps += 1
            if not torch.isfinite(output.loss):
                raise SaeError(
                    f"training the SAE {job.width!r} of layer {job.layer} diverged at step {step + 1} "
                    f"(loss {output.loss.item()}): lower sae_train.lr ({training.lr})"
                )
            if resampler is not None:
                resampler.after_step(trainer, output.sae_in)
        if progress is not None:
            progress(min(training.batch_size, training.n_positions - step * training.batch_size))
    for trainer in trainers:
        if trainer.activation_scaler.scaling_factor is not None:
            trainer.sae.fold_activation_norm_scaling_factor(trainer.activation_scaler.scaling_factor)
        trainer.sae.fold_W_dec_norm()
    return trainers


def _trainer(job: SaeJob, training: SaeTraining, first_batch: torch.Tensor, n_steps: int, seed: int) -> Any:
    """A sae-lens trainer for one job; its input scale comes from the first batch, positions x d_in."""
    from sae_lens.config import LoggingConfig, SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    d_in = first_batch.shape[1]
    device = first_batch.device
    d_sae = job.training.latents(job.width)
    metadata = {"hook_name": job.hook.name, "saefari_settings": job.settings}
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(_own_seed(job, seed))
        sae = new_sae(training, d_in, d_sae, n_steps, device, metadata)
    trainer = SAETrainer(
        cfg=SAETrainerConfig(
            total_training_samples=n_steps * training.batch_size,
            train_batch_size_samples=training.batch_size,
            lr=training.lr,
            lr_end=training.lr,
            lr_decay_steps=int(DECAY_SHARE * n_steps),
            dead_feature_window=max(10, n_steps // 10),
            device=str(device),
            logger=LoggingConfig(log_to_wandb=False),
        ),
        sae=sae,
        data_provider=iter(()),
    )
    if training.normalize_activations == "expected_average_only_in":
        trainer.activation_scaler.scaling_factor = d_in**0.5 / first_batch.norm(dim=-1).mean().item()
    if training.target_l0 is not None:
        from saefari.train.jumprelu import quicken_thresholds

        sae.calibrate(trainer.activation_scaler(first_batch))
        quicken_thresholds(trainer)
    return trainer


def _resampler(job: SaeJob, device: torch.device, n_steps: int, seed: int) -> Resampler | None:
    """What resamples the job's dead latents, if its section asks for it."""
    if job.training.resample is None:
        return None
    return Resampler(job.training.resample, n_steps, torch.Generator(device).manual_seed(_own_seed(job, seed)))


def _own_seed(job: SaeJob, seed: int) -> int:
    """The run's seed, made the job's own: what it draws does not depend on which other SAEs are trained along."""
    return int(fingerprint([seed, job.layer, job.width])[:8], 16)
