"""Freeze a dataset split as one model reads it: sampled rows, their tokens, and which side each row is on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from saefari.config import DatasetSpec, ModelType, Positions, Settings
from saefari.data.dataset import Dataset
from saefari.data.example import Example
from saefari.data.splits import sample_rows
from saefari.errors import ConflictError
from saefari.extract.known import note_known, open_prepared
from saefari.extract.split import prepare_split, samples_digest
from saefari.log import logger
from saefari.store import SamplesWriter, read_samples_record
from saefari.store.manifest import differences

_TOKENISED_AT_ONCE = 512


class Tokeniser(Protocol):
    """What turns texts into tokens; a TextModel is one."""

    def tokenize(
        self, texts: list[str], max_length: int, include_special_tokens: bool, positions: Positions
    ) -> list[Any]: ...


@dataclass(frozen=True)
class PrepareJob:
    """One dataset as one model reads it; test_folder: of its own test split, where it has one."""

    title: str
    model: str
    model_type: ModelType
    revision: str | None
    positions: str
    spec: DatasetSpec
    settings: Settings
    folder: Path
    test_folder: Path | None
    overwrite: bool
    prepend_bos: bool | None = None
    """Where BOS is put or left out otherwise than the tokenizer does it (models.tokenizer.bos_change)."""

    @property
    def splits(self) -> list[tuple[str, Path]]:
        """Each split with the folder of its samples."""
        pairs = ((self.spec.split, self.folder), (self.spec.test_split, self.test_folder))
        return [(split, folder) for split, folder in pairs if split is not None and folder is not None]


def run_prepare(job: PrepareJob) -> list[str]:
    """Freeze rows, tokens and split where they are not there yet. Returns warnings.

    Raises ConflictError when samples of other settings are there, DataError when the dataset cannot be read.
    """
    from saefari.extract.prepare_images import prepare_images

    settings = job.settings
    warnings = _prepare_texts(job) if job.model_type == "llm" else prepare_images(job)
    record = prepare_split(job.folder, job.test_folder, settings.test_size, settings.seed)
    return [f"{job.title}: {warning}" for warning in [*warnings, *record["warnings"]]]


def _prepare_texts(job: PrepareJob) -> list[str]:
    """Freeze a text model's rows and tokens. Returns warnings: none."""
    from saefari.models.tokenizer import TextTokenizer

    settings = job.settings
    tokenizer = TextTokenizer.load(job.model, job.revision).with_bos(job.prepend_bos)
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
        note_known(folder, dataset)
    return []


def rows_wanted(settings: Settings) -> int | None:
    """Rows of each split to use: the smaller of max_samples and max_batches x batch_size; None = all."""
    limits = [settings.max_samples]
    if settings.max_batches is not None and settings.batch_size is not None:
        limits.append(settings.max_batches * settings.batch_size)
    return min((limit for limit in limits if limit is not None), default=None)


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
    """Everything that shapes samples.parquet.

    `positions` stands there only where it is not the default, `prepend_bos` only where it is not what the tokenizer
    does by itself.
    """
    settings = {
        **rows_settings(dataset, n_wanted, seed, ("text_field", "label_field", "id_field", "group_field")),
        "max_length": max_length,
        "include_special_tokens": special,
        "tokenizer": tokenizer,
    }
    settings |= {} if positions == "tokens" else {"positions": positions}
    return settings if bos_change is None else {**settings, "prepend_bos": bos_change}


def rows_settings(dataset: Dataset, n_wanted: int | None, seed: int, fields: tuple[str, ...]) -> dict[str, Any]:
    """Which rows are taken, and from which columns; the seed counts only where rows are sampled."""
    sampled = n_wanted is not None and n_wanted < dataset.n_rows
    table = dataset.table_fingerprint  # the same whether images are read or not
    return {
        "dataset": dataset.slug,
        "fingerprint": dataset.fingerprint,
        **({} if table == dataset.fingerprint else {"table": table}),
        "fields": dataset.spec.model_dump(include=set(fields)),
        "sampled": {"rows": n_wanted, "seed": seed} if sampled else None,
    }


def prepare_samples(
    folder: Path, dataset: Dataset, tokeniser: Tokeniser, settings: dict[str, Any], overwrite: bool
) -> str:
    """Write samples.parquet unless it is there already. Returns its SHA-256.

    Raises ConflictError when the folder holds the samples of other settings and `overwrite` is false.
    """
    record = stored_samples(folder, settings, overwrite)
    if record is not None:
        return str(record["sha256"])
    logger.info("%s: reading and tokenising %s rows", folder, f"{dataset.n_rows:,}")
    with SamplesWriter(folder, settings) as writer:
        for examples in _chunks(sampled_rows(dataset, settings["sampled"])):
            texts = [example.text or "" for example in examples]
            rows = tokeniser.tokenize(
                texts,
                settings["max_length"],
                settings["include_special_tokens"],
                settings.get("positions", "tokens"),
            )
            for example, tokens in zip(examples, rows, strict=True):
                writer.write(row_columns(example, tokens))
    return samples_digest(folder)


def stored_samples(folder: Path, settings: dict[str, Any], overwrite: bool) -> dict[str, Any] | None:
    """The record of the samples where they are there already, as these settings want them.

    Raises ConflictError when the folder holds the samples of other settings and `overwrite` is false.
    """
    record = read_samples_record(folder)
    conflicts = differences(record["settings"], settings) if record else []
    if conflicts and not overwrite:
        raise ConflictError(conflict_message(folder, conflicts))
    return None if conflicts else record


def conflict_message(folder: Path, conflicts: list[str]) -> str:
    """What differs, and what to do about it."""
    lines = "\n".join(f"    {line}" for line in conflicts)
    return (
        f"{folder} was made with other settings (stored -> wanted):\n{lines}\n"
        "  Choose another settings.base_save_dir, or add --overwrite to replace what is there."
    )


def sampled_rows(dataset: Dataset, sampled: dict[str, int] | None) -> Iterator[Example]:
    """The dataset's rows, or a seeded sample of them (see `rows_settings`), in its order."""
    if sampled is None:
        yield from dataset.rows()
        return
    wanted = set(sample_rows(dataset.n_rows, sampled["rows"], sampled["seed"]).tolist())
    yield from (example for example in dataset.rows() if example.row in wanted)


def _chunks(examples: Iterator[Example]) -> Iterator[list[Example]]:
    while chunk := list(islice(examples, _TOKENISED_AT_ONCE)):
        yield chunk


def row_columns(example: Example, tokens: Any) -> dict[str, Any]:
    """A row as samples.parquet has it; tokens: as a tokenizer or an image reader gives them."""
    return {
        "row": example.row,
        "id": example.id,
        "text": example.text,
        "label": example.label,
        "group": example.group,
        "n_tokens": tokens.length,
        "input_ids": tokens.input_ids,
        "valid": tokens.valid,
        "span_start": tokens.spans[:, 0],
        "span_end": tokens.spans[:, 1],
    }
