"""A vision model trained from scratch, measured once on the test rows, and saved as transformers save theirs."""

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
from saefari.train.vision.decoded_images import Decoding, decode, forget
from saefari.train.vision.division import Division, divide
from saefari.train.vision.job import VisionJob, check_unfinished, is_there, opened, settings_of
from saefari.train.vision.training_loop import Fit, measure


def run_vision(job: VisionJob) -> list[str]:
    """Train the job's model unless it is there. Returns warnings. Leaves torch's random state as it was.

    Raises ConflictError when a model or a checkpoint of other settings is there and the job may not replace it,
    DataError for a dataset that nothing can be learned from, ModelError when the training diverges.
    """
    dataset, test = opened(job)
    settings = settings_of(job, dataset, test)
    checkpoint = Checkpoint(job.scratch, job.checkpoint_minutes)
    if is_there(job, settings):
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
    """From images to a saved model. Returns warnings."""
    dataset, test = splits
    how = Decoding(job.training.image_size, job.scratch, job.skip_bad, job.workers)
    pictures = decode(dataset, job.max_rows, job.seed, how)
    of_test = decode(test, job.max_rows, job.seed, how) if test is not None else None
    data = divide(pictures, of_test, job.test_size, job.training.validation, job.seed, dataset.slug)
    fit = _fit(job, data, settings, checkpoint)
    bad = pictures.bad + (of_test.bad if of_test is not None else [])
    _save(job, fit, data, {"settings": settings, "skipped": bad})
    warnings = [f"{dataset.slug}: {len(bad)} images left out, the first because: {bad[0]['reason']}"] if bad else []
    return warnings + data.warnings


def model_config(job: VisionJob, classes: list[str]) -> AlexNetTransformerConfig:
    """The model's configuration, as transformers know it."""
    training = job.training
    return AlexNetTransformerConfig(
        image_size=training.image_size,
        convolutions=[one.model_dump() for one in training.convolutions],
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
    """The model with the weights of its best epoch, in evaluation mode."""
    torch.manual_seed(job.seed)
    model = AlexNetTransformerForImageClassification(model_config(job, data.classes))
    fit = Fit(model.to(pick_device(job.device)), data, job.training, job.seed, settings)  # type: ignore[arg-type]
    logger.info(
        "%s: %s parameters, %s training images", job.title, f"{model.num_parameters():,}", f"{len(data.train):,}"
    )
    with progress_bar(fit.n_steps, f"train {job.training.name}", "steps") as bar:

        def watch(step: int, figures: str) -> None:
            bar.set_postfix_str(figures, refresh=False)
            bar.update(step - bar.n)

        try:
            model.load_state_dict(fit.run(checkpoint, watch))
        except ModelError:
            checkpoint.remove()  # it would lead to the same end
            raise
    return fit


def _save(job: VisionJob, fit: Fit, data: Division, record: dict[str, Any]) -> None:
    """Write the model as one folder that appears whole or not at all, once it was measured as read back from it."""
    partial = job.folder.with_name(f".{job.folder.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        _write_model(partial, fit.model)
        model = _read_back(partial).to(fit.model.device)
        batch_size = 4 * job.training.batch_size
        accuracies = {name: measure(model, getattr(data, name), batch_size)[0] for name in ("validation", "test")}
        write_parquet(partial / TRAINING_ROWS, data.table)
        write_json(partial / TRAINING_RECORD, record | _findings(fit, data, accuracies))
        for file in partial.iterdir():
            with file.open("rb+") as opened_file:
                os.fsync(opened_file.fileno())
        os.replace(partial, job.folder)
    except OSError as error:
        raise StoreError(f"{job.folder}: {explain_os_error(error)}; nothing half-written is counted as done") from error
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
    """The classifier, as anyone would load it."""
    from transformers import AutoModelForImageClassification

    model, missing = read_weights(AutoModelForImageClassification, describe(str(folder)), str(folder), torch.float32)
    if missing:
        raise ModelError(f"{folder}: the saved model lacks {missing}")
    return model.eval()


def _findings(fit: Fit, data: Division, accuracies: dict[str, float]) -> dict[str, Any]:
    """What training.json says beside the settings."""
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
    """Remove what is only needed while the model is trained."""
    checkpoint.remove()
    forget(job.scratch)
