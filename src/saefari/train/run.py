"""A training job: SAEs of one model from one stream of activations, measured and saved."""

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
from saefari.train.activation_sources import Block, FromModel, FromStore, Source
from saefari.train.checkpoint import Checkpoint
from saefari.train.corpus import CorpusRows
from saefari.train.job import SaeJob, TrainJob, is_trained
from saefari.train.loss_recovered import LossRecovered
from saefari.train.outliers import norm_limits
from saefari.train.progress import Watcher
from saefari.train.save import save_trained
from saefari.train.trainee import Trainee
from saefari.train.training_loop import train_saes
from saefari.train.training_rows import RowPlan, StoredImages, StoredRows

EVALUATION_POSITIONS = 32_768
"""Held-out positions on which a trained SAE is measured, at most."""
LANGUAGE_TOKENS = 16_384
"""Held-out tokens on which a language model runs with an SAE's reconstruction spliced in."""
_TEXT_ALONE = "in the context, not trained on"


def run_train(job: TrainJob, model: Callable[[], Model]) -> list[str]:
    """Run the job; `model` loads the model, and is called only if an SAE is missing. Returns warnings.

    Raises ConflictError when an SAE or a checkpoint of other settings is there and the job may not replace it, SaeError
    for settings or data that no SAE can be trained with and, once all others are saved, for SAEs that diverged.
    """
    missing = [_described(job, sae) for sae in _whole(job) if _is_missing(sae, job.overwrite)]
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
    with closing(Watcher(f"train {job.title}", n_positions, job.progress.log, job.progress.log_folder)) as watch:
        trainees = train_saes(source, missing, job.seed, device, checkpoint, watch)
    whole = [trainee for trainee in trainees if trainee.failure is None]
    warnings = _save(whole, source, model, job.max_tokens)
    checkpoint.remove()
    if failures := [trainee.failure for trainee in trainees if trainee.failure]:
        raise SaeError("; ".join(failures))
    return warnings


def trained(job: TrainJob) -> list[SaeJob]:
    """The job's SAEs that are there, with the settings that the job asks for."""
    found = []
    for sae in _whole(job):
        with suppress(ConflictError):
            if is_trained(sae):
                found.append(sae)
    return found


def _whole(job: TrainJob) -> list[SaeJob]:
    """The job's SAEs with everything that shapes them."""
    shared = _shared_settings(job)
    return [replace(sae, settings={**sae.settings, **shared}) for sae in job.saes]


def _described(job: TrainJob, sae: SaeJob) -> SaeJob:
    """A whole SAE of the job with what is saved of its making."""
    return replace(sae, metadata={**_metadata(job), "hook_name": sae.hook.name, "saefari_settings": sae.settings})


def _source(job: TrainJob, hooks: list[HookPoint], model: Callable[[], Model]) -> Source:
    """Where the activations of a job come from."""
    if job.data.corpus is not None:
        loaded = model()
        if not isinstance(loaded, TextModel):
            raise SaeError(f"{job.title}: a corpus of texts trains SAEs of text models: leave it out")
        tokenizer = loaded.tokenizer.with_bos(job.prepend_bos)
        return FromModel(Forward(loaded, job.max_tokens), CorpusRows(job.data.corpus, tokenizer), hooks)
    plan = RowPlan({folder: read_split(folder) for folder in job.data.samples}, job.seed)
    if job.data.stored:
        return FromStore(plan, hooks, pick_device(job.model.device))
    forward = Forward(model(), job.max_tokens)
    if job.data.loader is None:
        return FromModel(forward, StoredRows(plan), hooks)
    rows = StoredImages(plan, dict(zip(job.data.samples, job.data.images, strict=True)), job.data.loader)
    return FromModel(forward, rows, hooks, rows.load)


def _save(trainees: list[Trainee], source: Source, model: Callable[[], Model], max_tokens: int) -> list[str]:
    """Measure the SAEs on what the source holds out, in a language model too, and write them. Returns warnings."""
    if not trainees:
        return []
    states, warnings = _held_out(source), []
    language = _language(source, model, max_tokens)
    for trainee in trainees:

        def cross_entropy(loaded: LoadedSae, job: SaeJob = trainee.job) -> dict[str, Any] | None:
            try:
                measured = language.measure(loaded, job.norm_limit) if language else None
            except ModelError as error:  # no reason to lose the SAE
                warnings.append(f"{job.title}: no cross-entropy: {error}")
                return None
            return measured.summary() if measured else None

        limit = trainee.job.norm_limit
        ordinary = [without_outliers(block[trainee.job.hook], limit) for block in states]
        save_trained(trainee, ordinary, cross_entropy)
    return warnings


def _language(source: Source, model: Callable[[], Model], max_tokens: int) -> LossRecovered | None:
    """What measures SAEs in the model as a language model; None where it is none."""
    loaded = model()
    if not isinstance(loaded, TextModel):
        return None
    try:
        return LossRecovered(LanguageModel.of(loaded), _held_out_rows(source), max_tokens)
    except NoLanguageHead as reason:
        logger.debug("no cross-entropy: %s", reason)
        return None


def _held_out_rows(source: Source) -> list[TokenRow]:
    """Rows that the source holds out, of `LANGUAGE_TOKENS` tokens or a little more."""
    rows: list[TokenRow] = []
    n_tokens = 0
    for row in cast(Iterator[TokenRow], source.rows.held_out()):
        rows.append(row)
        n_tokens += len(row.input_ids)
        if n_tokens >= LANGUAGE_TOKENS:
            break
    return rows


def _held_out(source: Source) -> list[Block]:
    """The first `EVALUATION_POSITIONS` of what the source holds out."""
    blocks: list[Block] = []
    wanted = EVALUATION_POSITIONS
    for block in source.held_out():
        blocks.append({hook: states[:wanted] for hook, states in block.items()})
        wanted -= len(next(iter(blocks[-1].values())))
        if not wanted:
            break
    return blocks


def _shared_settings(job: TrainJob) -> dict[str, Any]:
    """What shapes every SAE of the job beside its own settings."""
    settings: dict[str, Any] = {"model": job.model.settings(), "seed": job.seed}
    if job.data.corpus is None:
        records = (read_samples_record, read_split_record)
        rows = [[_stored(read, folder)["sha256"] for read in records] for folder in job.data.samples]
        settings["training_rows"] = fingerprint(rows)
    else:
        settings["corpus_rows"] = open_dataset(job.data.corpus.dataset, job.data.corpus.split).fingerprint
        settings |= {} if job.prepend_bos is None else {"prepend_bos": job.prepend_bos}
    settings |= {} if job.outlier_norm is None else {"outlier_norm": job.outlier_norm}
    return settings | ({"stored_positions": True} if job.data.stored else {})


def _stored(read: Callable[[Path], dict[str, Any] | None], folder: Path) -> dict[str, Any]:
    """A record of a samples folder. Raises DataError where it is not there, or not as it was written."""
    record = read(folder)
    if record is None:
        raise DataError(f"{folder}: the samples are missing or damaged; run the same command again")
    return record


def _metadata(job: TrainJob) -> dict[str, Any]:
    """What an SAE says of its making to those who load it, in sae-lens' words; no absolute path."""
    name = Path(job.model.name).name if Path(job.model.name).is_absolute() else job.model.name
    if job.data.corpus is not None:
        data, context, trained_on = [dataset_slug(job.data.corpus.name)], job.data.corpus.context_size, _TEXT_ALONE
    else:
        records = [_stored(read_samples_record, folder)["settings"] for folder in job.data.samples]
        data, context = [record["dataset"] for record in records], records[0].get("max_length")
        trained_on = "trained on" if records[0].get("include_special_tokens") else _TEXT_ALONE
        if (positions := records[0].get("positions")) is not None:
            trained_on = f"positions trained on: {positions}"
    made = {
        "model_name": name,
        "model_revision": job.model.revision,
        "dataset_path": ", ".join(data),
        "context_size": context,
        "special_tokens": trained_on,
    }
    if job.model.model_type == "llm":
        made["prepend_bos"] = (
            TextTokenizer.load(job.model.name, job.model.revision).with_bos(job.prepend_bos).prepends_bos
        )
    return made


def _is_missing(sae: SaeJob, overwrite: bool) -> bool:
    """Whether the SAE must be trained; with `overwrite`, one of other settings is removed first."""
    try:
        return not is_trained(sae)
    except ConflictError:
        if not overwrite:
            raise
    logger.warning("%s: removed, it was trained with other settings", sae.folder)
    shutil.rmtree(sae.folder)
    return True
