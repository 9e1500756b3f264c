"""Freeze the rows and tokens of a dataset split for a text model."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saefari.config import Positions
from saefari.data.dataset import Dataset
from saefari.data.example import Example
from saefari.extract.freeze_split import samples_digest
from saefari.extract.frozen_rows import row_columns, rows_settings, rows_wanted, sampled_rows, stored_samples
from saefari.extract.known_rows import open_prepared, store_known_rows
from saefari.extract.prepare_job import PrepareJob
from saefari.log import logger
from saefari.store import SamplesWriter

if TYPE_CHECKING:
    from saefari.models.tokenizer import TextTokenizer

_TEXTS_PER_BATCH = 512


def prepare_texts(job: PrepareJob) -> list[str]:
    """Freeze the rows and tokens of a text model. Returns no warnings."""
    from saefari.models.tokenizer import TextTokenizer

    settings = job.settings
    tokenizer = TextTokenizer.load(job.model.name, job.model.revision).with_bos(job.prepend_bos)
    for split, folder in job.splits:
        dataset = open_prepared(folder, job.spec, split)
        wanted = samples_settings(
            dataset,
            rows_wanted(settings),
            settings.seed,
            settings.max_length,
            settings.include_special_tokens,
            tokenizer.digest,
            job.positions,  # type: ignore[arg-type]
            tokenizer.bos_change,
        )
        prepare_samples(folder, dataset, tokenizer, wanted, job.overwrite)
        store_known_rows(folder, dataset)
    return []


def samples_settings(
    dataset: Dataset,
    n_wanted: int | None,
    seed: int,
    max_length: int,
    special: bool,
    tokenizer: str,
    positions: Positions = "tokens",
    bos_change: bool | None = None,
) -> dict[str, Any]:
    """Return everything that shapes samples.parquet.

    `positions` is included only if not the default, `prepend_bos` only if it differs from the tokenizer's behaviour.
    """
    settings = {
        **rows_settings(dataset, n_wanted, seed, ("text_field", "label_field", "id_field", "group_field")),
        "max_length": max_length,
        "include_special_tokens": special,
        "tokenizer": tokenizer,
    }
    settings |= {} if positions == "tokens" else {"positions": positions}
    return settings if bos_change is None else {**settings, "prepend_bos": bos_change}


def prepare_samples(
    folder: Path, dataset: Dataset, tokenizer: TextTokenizer, settings: dict[str, Any], overwrite: bool
) -> str:
    """Write samples.parquet unless it exists. Returns its SHA-256.

    Raises ConflictError if the folder holds samples of other settings and `overwrite` is false.
    """
    record = stored_samples(folder, settings, overwrite)
    if record is not None:
        return str(record["sha256"])
    logger.info("%s: reading and tokenising %s rows", folder, f"{dataset.n_rows:,}")
    with SamplesWriter(folder, settings) as writer:
        for examples in _chunks(sampled_rows(dataset, settings["sampled"])):
            texts = [example.text or "" for example in examples]
            rows = tokenizer.tokenize(
                texts,
                settings["max_length"],
                settings["include_special_tokens"],
                settings.get("positions", "tokens"),
            )
            for example, tokens in zip(examples, rows, strict=True):
                writer.write(row_columns(example, tokens))
    return samples_digest(folder)


def _chunks(examples: Iterator[Example]) -> Iterator[list[Example]]:
    while chunk := list(islice(examples, _TEXTS_PER_BATCH)):
        yield chunk
