"""Freeze a dataset split as a model reads its images: their tokens and patches, and what the model sees of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saefari.data.dataset import Dataset
from saefari.data.example import Example
from saefari.errors import DataError
from saefari.extract.frozen_rows import row_columns, rows_settings, rows_wanted, sampled_rows, stored_samples
from saefari.extract.known_rows import note_known, open_prepared
from saefari.log import logger, progress_bar
from saefari.models.image_loader import Described, Failed, ImageAndText, ImageLoader
from saefari.models.model_types import ReaderSpec
from saefari.store import IMAGE_SCHEMA, SamplesWriter, read_samples_record

if TYPE_CHECKING:
    from saefari.config import Settings
    from saefari.extract.prepare_job import PrepareJob

_FIELDS = ("image_field", "text_field", "label_field", "id_field", "group_field")
_LISTED = 3
_GIVEN_AWAY = (
    "the prompt's text is the label: features that see it (positions text, last and all; PaliGemma's image tokens; "
    "TF-IDF) give the class away"
)


def prepare_images(job: PrepareJob) -> list[str]:
    """Freeze the rows of a model that reads images, where they are not there yet. Returns warnings.

    Raises ConflictError when samples of other settings are there; DataError when the dataset cannot be read or,
    unless `settings.on_bad_sample` is skip, one of its images.
    """
    settings = job.settings
    loader = ImageLoader.of(job.model.model_type, job.model.name, job.model.revision, job.positions, settings)
    spec = job.spec
    told = spec.text_field is not None and (spec.text_is_label or spec.text_field == spec.label_field)
    warnings = [_GIVEN_AWAY] if told and job.model.model_type == "vlm" else []
    for split, folder in job.splits:
        dataset = open_prepared(folder, job.spec, split)
        wanted = images_settings(dataset, loader.reader, settings)
        record = stored_samples(folder, wanted, job.overwrite)
        if record is None:
            _write(folder, dataset, wanted, loader, settings.on_bad_sample)
            record = read_samples_record(folder) or {}
        note_known(folder, dataset)
        warnings += _skipped(folder, record.get("skipped", []), settings.on_bad_sample)
    return warnings


def images_settings(dataset: Dataset, reader: ReaderSpec, settings: Settings) -> dict[str, Any]:
    """Everything that shapes samples.parquet; what concerns a prompt only where there is one."""
    return {
        **rows_settings(dataset, rows_wanted(settings), settings.seed, _FIELDS),
        **(
            {"max_length": reader.max_length, "include_special_tokens": reader.include_special_tokens}
            if reader.model_type == "vlm"
            else {}
        ),
        "reader": reader.load().digest,
        "positions": reader.positions,
    }


def _write(folder: Path, dataset: Dataset, wanted: dict[str, Any], loader: ImageLoader, on_bad: str) -> None:
    n_rows = wanted["sampled"]["rows"] if wanted["sampled"] else dataset.n_rows
    with (
        SamplesWriter(folder, wanted, IMAGE_SCHEMA) as writer,
        progress_bar(n_rows, f"read {dataset.slug} {dataset.split}", "images") as bar,
    ):
        rows = _unread(sampled_rows(dataset, wanted["sampled"]))
        for example, result in loader.describe(rows):
            bar.update(1)
            if isinstance(result, Failed):
                where = f"{dataset.spec.name}, split {dataset.split!r}, row {example.row}"
                if result.setting:
                    raise DataError(f"{where}: {result.reason}")
                if on_bad == "error":
                    raise DataError(f"{where}: {result.reason}; mend or remove it, or set settings.on_bad_sample: skip")
                logger.debug("%s left out: %s", where, result.reason)
                writer.skipped.append({"row": example.row, "id": example.id, "reason": result.reason})
            else:
                writer.write(_columns(example, result))
        if writer.n_rows == 0:
            raise DataError(f"{dataset.spec.name}, split {dataset.split!r}: none of its images can be read")


def _unread(examples: Iterator[Example]) -> Iterator[tuple[Example, ImageAndText]]:
    for example in examples:
        yield example, (example.image, example.text)


def _skipped(folder: Path, skipped: list[dict[str, Any]], on_bad: str) -> list[str]:
    """A warning of rows that were left out; an error where they may not be."""
    if not skipped:
        return []
    listed = "; ".join(f"row {row['row']}: {row['reason']}" for row in skipped[:_LISTED])
    more = f" and {len(skipped) - _LISTED} more" if len(skipped) > _LISTED else ""
    message = f"{len(skipped)} images could not be read ({listed}{more})"
    if on_bad == "error":
        raise DataError(f"{folder}: {message}: mend them and add --overwrite, or set settings.on_bad_sample: skip")
    return [f"{message}: left out, all are listed in samples.json"]


def _columns(example: Example, described: Described) -> dict[str, Any]:
    reading = described.reading
    return {
        **row_columns(example, reading),
        "image": example.image.name if example.image else None,
        "pixels": described.pixels,
        "view": described.view,
        "grid": list(reading.grid),
        "patch": reading.patch,
    }
