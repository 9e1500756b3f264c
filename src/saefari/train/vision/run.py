"""Train a vision model from scratch, measure it once on the test rows, and save it in transformers' format."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from saefari.data.dataset import Dataset
from saefari.errors import ModelError, StoreError
from saefari.log import logger, progress_bar
from saefari.models.alexnet_preprocessing import processor_config
from saefari.models.alexnet_transformer import AlexNetTransformerForImageClassification
from saefari.models.alexnet_transformer_config import AlexNetTransformerConfig
from saefari.models.pretrained import pick_device, read_weights
from saefari.models.registry import describe
from saefari.provenance import library_versions
from saefari.store import write_json, write_parquet
from saefari.store.files import explain_os_error
from saefari.store.layout import TRAINING_RECORD, TRAINING_ROWS
from saefari.train.checkpoint import Checkpoint
from saefari.train.vision.decoded_images import Decoding, decode, remove_decoded
from saefari.train.vision.division import Division, divide
from saefari.train.vision.job import VisionJob, check_unfinished, is_trained, open_splits, training_settings
from saefari.train.vision.training_loop import Fit, measure


def run_vision(job: VisionJob) -> list[str]:
    """Train the job's model unless it exists. Returns warnings. Preserves torch's random state.

    Raises ConflictError if a model or checkpoint of other settings exists and `job.overwrite` is false, DataError for
    an unusable dataset, ModelError if the training diverges.
    """
    dataset, test = open_splits(job)
    settings = training_settings(job, dataset, test)
    checkpoint = Checkpoint(job.scratch, job.checkpoint_minutes)
    if is_trained(job, settings):
        _clear(job, checkpoint)
        return []
    check_unfinished(job, settings)
    device = pick_device(job.device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        warnings = _train(job, (dataset, test), settings, checkpoint)
    _clear(job, checkpoint)
    return warnings


def _train(
    job: VisionJob, splits: tuple[Dataset, Dataset | None], settings: dict[str, Any], checkpoint: Checkpoint
) -> list[str]:
    """Decode images, train, measure and save the model. Returns warnings."""
    dataset, test = splits
    options = Decoding(job.training.image_size, job.scratch, job.skip_bad, job.workers)
    images = decode(dataset, job.max_rows, job.seed, options)
    test_images = decode(test, job.max_rows, job.seed, options) if test is not None else None
    data = divide(images, test_images, job.test_size, job.training.validation, job.seed, dataset.slug)
    fit = _fit(job, data, settings, checkpoint)
    bad = images.bad + (test_images.bad if test_images is not None else [])
    _save(job, fit, data, {"settings": settings, "skipped": bad})
    warnings = [f"{dataset.slug}: {len(bad)} images left out; first reason: {bad[0]['reason']}"] if bad else []
    return warnings + data.warnings


def model_config(job: VisionJob, classes: list[str]) -> AlexNetTransformerConfig:
    """Return the model's configuration."""
    training = job.training
    return AlexNetTransformerConfig(
        image_size=training.image_size,
        convolutions=[layer.model_dump() for layer in training.convolutions],
        hidden_size=training.hidden_size,
        num_hidden_layers=training.layers,
        num_attention_heads=training.heads,
        mlp_ratio=training.mlp_ratio,
        dropout=training.dropout,
        causal=training.causal,
        architectures=[AlexNetTransformerForImageClassification.__name__],
        id2label=dict(enumerate(classes)),
        label2id={label: i for i, label in enumerate(classes)},
    )


def _fit(job: VisionJob, data: Division, settings: dict[str, Any], checkpoint: Checkpoint) -> Fit:
    """Train the model; return it with the weights of its best epoch."""
    torch.manual_seed(job.seed)
    model = AlexNetTransformerForImageClassification(model_config(job, data.classes))
    fit = Fit(model.to(pick_device(job.device)), data, job.training, job.seed, settings)  # type: ignore[arg-type]
    logger.info(
        "%s: %s parameters, %s training images", job.title, f"{model.num_parameters():,}", f"{len(data.train):,}"
    )
    with progress_bar(fit.n_steps, f"train {job.training.name}", "steps") as bar:

        def on_step(step: int, figures: str) -> None:
            bar.set_postfix_str(figures, refresh=False)
            bar.update(step - bar.n)

        try:
            model.load_state_dict(fit.run(checkpoint, on_step))
        except ModelError:
            checkpoint.remove()  # resuming it would diverge again
            raise
    return fit


def _save(job: VisionJob, fit: Fit, data: Division, record: dict[str, Any]) -> None:
    """Write the model to its folder, atomically, after measuring it as read back from disk."""
    partial = job.folder.with_name(f".{job.folder.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        _write_model(partial, fit.model)
        model = _read_back(partial).to(fit.model.device)
        batch_size = 4 * job.training.batch_size
        accuracies = {name: measure(model, getattr(data, name), batch_size)[0] for name in ("validation", "test")}
        write_parquet(partial / TRAINING_ROWS, data.table)
        write_json(partial / TRAINING_RECORD, record | _results(fit, data, accuracies))
        for file in partial.iterdir():
            with file.open("rb+") as opened_file:
                os.fsync(opened_file.fileno())
        os.replace(partial, job.folder)
    except OSError as error:
        raise StoreError(f"{job.folder}: {explain_os_error(error)}; no partial result was kept") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    logger.info("%s: test accuracy %.1f%%", job.title, 100 * accuracies["test"])


def _write_model(folder: Path, model: Any) -> None:
    folder.mkdir(parents=True)
    model.config.save_pretrained(folder)
    weights = {name: x.cpu().contiguous() for name, x in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    write_json(folder / "preprocessor_config.json", processor_config(model.config.image_size))


def _read_back(folder: Path) -> Any:
    """Load the saved classifier."""
    from transformers import AutoModelForImageClassification

    model, missing = read_weights(AutoModelForImageClassification, describe(str(folder)), str(folder), torch.float32)
    if missing:
        raise ModelError(f"{folder}: the saved model lacks {missing}")
    return model.eval()


def _results(fit: Fit, data: Division, accuracies: dict[str, float]) -> dict[str, Any]:
    """Return the results in training.json, besides the settings."""
    best = fit.curves.best_epoch
    assert best is not None
    return {
        "classes": data.classes,
        "n_parameters": fit.model.num_parameters(),
        "rows": {"train": len(data.train), "validation": len(data.validation), "test": len(data.test)},
        "training_rows": data.digest,
        "accuracy": accuracies,
        "best_epoch": best + 1,
        "epochs": len(fit.curves.seconds),
        "seconds": fit.curves.seconds[-1],
        "curves": {name: getattr(fit.curves, name) for name in fit.curves.__dataclass_fields__},
        "warnings": data.warnings,
        "versions": library_versions(),
    }


def _clear(job: VisionJob, checkpoint: Checkpoint) -> None:
    """Remove the checkpoint and the decoded images."""
    checkpoint.remove()
    remove_decoded(job.scratch)
