"""Run a training job: train SAEs of one model on one stream of activations, evaluate and save them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from saefari.data.dataset import open_dataset
from saefari.data.slug import dataset_slug
from saefari.errors import ConflictError, DataError, ModelError, SaeError
from saefari.fingerprint import fingerprint
from saefari.log import logger
from saefari.models.forward import Forward, Model, TokenRow
from saefari.models.hooks import HookPoint
from saefari.models.language_head import LanguageModel, NoLanguageHead
from saefari.models.norms import without_outliers
from saefari.models.pretrained import pick_device
from saefari.models.text_model import TextModel
from saefari.models.tokenizer import TextTokenizer
from saefari.saes.load import LoadedSae
from saefari.store import read_samples_record, read_split, read_split_record
from saefari.train.activation_sources import ActivationSource, Block, ModelActivations, StoredActivations
from saefari.train.checkpoint import Checkpoint
from saefari.train.corpus import CorpusRows
from saefari.train.job import SaeJob, TrainJob, is_trained
from saefari.train.loss_recovered import LossRecovered
from saefari.train.outliers import norm_limits
from saefari.train.progress import ProgressReporter
from saefari.train.sae_fit import SaeFit
from saefari.train.save import save_trained
from saefari.train.training_loop import train_saes
from saefari.train.training_rows import RowPlan, StoredImages, StoredRows

EVALUATION_POSITIONS = 32_768
"""Maximum held-out positions on which a trained SAE is evaluated."""
LANGUAGE_TOKENS = 16_384
"""Held-out tokens for the cross-entropy with an SAE's reconstruction spliced in."""
_TEXT_ALONE = "in the context, not trained on"


def run_train(job: TrainJob, model: Callable[[], Model]) -> list[str]:
    """Run the job. Returns warnings.

    model: loads the model; called only if an SAE is missing. Raises ConflictError if an SAE or checkpoint of other
    settings exists and `job.overwrite` is false; SaeError for unusable settings or data and, after all others are
    saved, for SAEs that diverged.
    """
    missing = [_with_metadata(job, sae) for sae in _with_shared_settings(job) if _is_missing(sae, job.overwrite)]
    checkpoint = Checkpoint(job.progress.checkpoint, job.progress.checkpoint_minutes)
    if not missing:
        checkpoint.remove()
        return []
    checkpoint.check(missing, job.overwrite)
    hooks = sorted({sae.hook for sae in missing})
    source = _source(job, hooks, model)
    limits = norm_limits(job.outlier_norm, source, hooks, job.data.samples, job.model.settings())
    missing = [replace(sae, norm_limit=limits[sae.hook]) for sae in missing]
    n_positions = missing[0].training.n_positions
    device = pick_device(job.model.device)
    reporter = ProgressReporter(f"train {job.title}", n_positions, job.progress.log, job.progress.log_folder)
    with closing(reporter) as on_step:
        fits = train_saes(source, missing, job.seed, device, checkpoint, on_step)
    finished = [fit for fit in fits if fit.failure is None]
    warnings = _save(finished, source, model, job.max_tokens)
    checkpoint.remove()
    if failures := [fit.failure for fit in fits if fit.failure]:
        raise SaeError("; ".join(failures))
    return warnings


def trained(job: TrainJob) -> list[SaeJob]:
    """Return the job's SAEs that are trained with the job's settings."""
    found = []
    for sae in _with_shared_settings(job):
        with suppress(ConflictError):
            if is_trained(sae):
                found.append(sae)
    return found


def _with_shared_settings(job: TrainJob) -> list[SaeJob]:
    """Return the job's SAEs with the shared settings added."""
    shared = _shared_settings(job)
    return [replace(sae, settings={**sae.settings, **shared}) for sae in job.saes]


def _with_metadata(job: TrainJob, sae: SaeJob) -> SaeJob:
    """Add the metadata that is saved with an SAE."""
    return replace(sae, metadata={**_metadata(job), "hook_name": sae.hook.name, "saefari_settings": sae.settings})


def _source(job: TrainJob, hooks: list[HookPoint], model: Callable[[], Model]) -> ActivationSource:
    """Build the job's source of activations."""
    if job.data.corpus is not None:
        loaded = model()
        if not isinstance(loaded, TextModel):
            raise SaeError(f"{job.title}: a corpus of texts cannot train SAEs of this model: remove it")
        tokenizer = loaded.tokenizer.with_bos(job.prepend_bos)
        return ModelActivations(Forward(loaded, job.max_tokens), CorpusRows(job.data.corpus, tokenizer), hooks)
    plan = RowPlan({folder: read_split(folder) for folder in job.data.samples}, job.seed)
    if job.data.stored:
        return StoredActivations(plan, hooks, pick_device(job.model.device))
    forward = Forward(model(), job.max_tokens)
    if job.data.loader is None:
        return ModelActivations(forward, StoredRows(plan), hooks)
    rows = StoredImages(plan, dict(zip(job.data.samples, job.data.images, strict=True)), job.data.loader)
    return ModelActivations(forward, rows, hooks, rows.load)


def _save(fits: list[SaeFit], source: ActivationSource, model: Callable[[], Model], max_tokens: int) -> list[str]:
    """Evaluate the SAEs on held-out data, also in the language model, and save them. Returns warnings."""
    if not fits:
        return []
    states, warnings = _held_out(source), []
    loss_recovered = _loss_recovered(source, model, max_tokens)
    for fit in fits:

        def cross_entropy(loaded: LoadedSae, job: SaeJob = fit.job) -> dict[str, Any] | None:
            try:
                measured = loss_recovered.measure(loaded, job.norm_limit) if loss_recovered else None
            except ModelError as error:  # do not lose the SAE for it
                warnings.append(f"{job.title}: no cross-entropy: {error}")
                return None
            return measured.summary() if measured else None

        limit = fit.job.norm_limit
        without = [without_outliers(block[fit.job.hook], limit) for block in states]
        save_trained(fit, without, cross_entropy)
    return warnings


def _loss_recovered(source: ActivationSource, model: Callable[[], Model], max_tokens: int) -> LossRecovered | None:
    """Return the evaluation of SAEs in a language model; None for other models."""
    loaded = model()
    if not isinstance(loaded, TextModel):
        return None
    try:
        return LossRecovered(LanguageModel.of(loaded), _held_out_rows(source), max_tokens)
    except NoLanguageHead as reason:
        logger.debug("no cross-entropy: %s", reason)
        return None


def _held_out_rows(source: ActivationSource) -> list[TokenRow]:
    """Return held-out rows with at least `LANGUAGE_TOKENS` tokens in total."""
    rows: list[TokenRow] = []
    n_tokens = 0
    for row in cast(Iterator[TokenRow], source.rows.held_out()):
        rows.append(row)
        n_tokens += len(row.input_ids)
        if n_tokens >= LANGUAGE_TOKENS:
            break
    return rows


def _held_out(source: ActivationSource) -> list[Block]:
    """Return the first `EVALUATION_POSITIONS` held-out positions."""
    blocks: list[Block] = []
    remaining = EVALUATION_POSITIONS
    for block in source.held_out():
        blocks.append({hook: states[:remaining] for hook, states in block.items()})
        remaining -= len(next(iter(blocks[-1].values())))
        if not remaining:
            break
    return blocks


def _shared_settings(job: TrainJob) -> dict[str, Any]:
    """Return the settings shared by all SAEs of the job."""
    settings: dict[str, Any] = {"model": job.model.settings(), "seed": job.seed}
    if job.data.corpus is None:
        records = (read_samples_record, read_split_record)
        rows = [[_required(read, folder)["sha256"] for read in records] for folder in job.data.samples]
        settings["training_rows"] = fingerprint(rows)
    else:
        settings["corpus_rows"] = open_dataset(job.data.corpus.dataset, job.data.corpus.split).fingerprint
        settings |= {} if job.prepend_bos is None else {"prepend_bos": job.prepend_bos}
    settings |= {} if job.outlier_norm is None else {"outlier_norm": job.outlier_norm}
    return settings | ({"stored_positions": True} if job.data.stored else {})


def _required(read: Callable[[Path], dict[str, Any] | None], folder: Path) -> dict[str, Any]:
    """Read a record of a samples folder. Raises DataError if it is missing or damaged."""
    record = read(folder)
    if record is None:
        raise DataError(f"{folder}: the samples are missing or damaged; run the same command again")
    return record


def _metadata(job: TrainJob) -> dict[str, Any]:
    """Return sae-lens metadata about model and training data, without absolute paths."""
    name = Path(job.model.name).name if Path(job.model.name).is_absolute() else job.model.name
    if job.data.corpus is not None:
        data, context, trained_on = [dataset_slug(job.data.corpus.name)], job.data.corpus.context_size, _TEXT_ALONE
    else:
        records = [_required(read_samples_record, folder)["settings"] for folder in job.data.samples]
        data, context = [record["dataset"] for record in records], records[0].get("max_length")
        trained_on = "trained on" if records[0].get("include_special_tokens") else _TEXT_ALONE
        if (positions := records[0].get("positions")) is not None:
            trained_on = f"positions trained on: {positions}"
    metadata = {
        "model_name": name,
        "model_revision": job.model.revision,
        "dataset_path": ", ".join(data),
        "context_size": context,
        "special_tokens": trained_on,
    }
    if job.model.model_type == "llm":
        metadata["prepend_bos"] = (
            TextTokenizer.load(job.model.name, job.model.revision).with_bos(job.prepend_bos).prepends_bos
        )
    return metadata


def _is_missing(sae: SaeJob, overwrite: bool) -> bool:
    """Return whether the SAE must be trained; with `overwrite`, remove one of other settings."""
    try:
        return not is_trained(sae)
    except ConflictError:
        if not overwrite:
            raise
    logger.warning("%s: removed, since it was trained with other settings", sae.folder)
    shutil.rmtree(sae.folder)
    return True
