"""The rows of a dataset split to prepare, with the checks and columns shared by texts and images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from saefari.config import Settings
from saefari.data.dataset import Dataset
from saefari.data.example import Example
from saefari.data.splits import sample_rows
from saefari.errors import ConflictError
from saefari.store import read_samples_record
from saefari.store.manifest import differences


def rows_wanted(settings: Settings) -> int | None:
    """Return the maximum rows of each split: the smaller of max_samples and max_batches x batch_size; None = all."""
    limits = [settings.max_samples]
    if settings.max_batches is not None and settings.batch_size is not None:
        limits.append(settings.max_batches * settings.batch_size)
    return min((limit for limit in limits if limit is not None), default=None)


def rows_settings(dataset: Dataset, n_wanted: int | None, seed: int, fields: tuple[str, ...]) -> dict[str, Any]:
    """Return the settings that select rows and columns; the seed is included only if rows are sampled."""
    sampled = n_wanted is not None and n_wanted < dataset.n_rows
    table = dataset.table_fingerprint  # independent of whether images are read
    return {
        "dataset": dataset.slug,
        "fingerprint": dataset.fingerprint,
        **({} if table == dataset.fingerprint else {"table": table}),
        "fields": dataset.spec.model_dump(include=set(fields)),
        "sampled": {"rows": n_wanted, "seed": seed} if sampled else None,
    }


def stored_samples(folder: Path, settings: dict[str, Any], overwrite: bool) -> dict[str, Any] | None:
    """Return the record of existing samples with these settings; None if there are none to reuse.

    Raises ConflictError if the folder holds samples of other settings and `overwrite` is false.
    """
    record = read_samples_record(folder)
    conflicts = differences(record["settings"], settings) if record else []
    if conflicts and not overwrite:
        raise ConflictError(conflict_message(folder, conflicts))
    return None if conflicts else record


def conflict_message(folder: Path, conflicts: list[str]) -> str:
    """List the differing settings and the remedy."""
    lines = "\n".join(f"    {line}" for line in conflicts)
    return (
        f"{folder} was made with other settings (stored -> wanted):\n{lines}\n"
        "  Choose another settings.base_save_dir, or add --overwrite to replace the stored data."
    )


def sampled_rows(dataset: Dataset, sampled: dict[str, int] | None) -> Iterator[Example]:
    """Yield the dataset's rows, or a seeded sample of them (see `rows_settings`), in dataset order."""
    if sampled is None:
        yield from dataset.rows()
        return
    chosen = set(sample_rows(dataset.n_rows, sampled["rows"], sampled["seed"]).tolist())
    yield from (example for example in dataset.rows() if example.row in chosen)


def row_columns(example: Example, tokens: Any) -> dict[str, Any]:
    """Build the columns of a row of samples.parquet; tokens: from a tokenizer or an image reader."""
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
