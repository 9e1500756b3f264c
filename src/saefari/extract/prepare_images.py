"""Freeze the rows of a dataset split with images: their tokens, patches and views."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saefari.data.dataset import Dataset
from saefari.data.example import Example
from saefari.errors import DataError
from saefari.extract.frozen_rows import row_columns, rows_settings, rows_wanted, sampled_rows, stored_samples
from saefari.extract.known_rows import open_prepared, store_known_rows
from saefari.log import logger, progress_bar
from saefari.models.image_loader import Described, Failed, ImageAndText, ImageLoader
from saefari.models.model_types import ReaderSpec
from saefari.store import IMAGE_SCHEMA, SamplesWriter, read_samples_record

if TYPE_CHECKING:
    from saefari.config import Settings
    from saefari.extract.prepare_job import PrepareJob

_FIELDS = ("image_field", "text_field", "label_field", "id_field", "group_field")
_MAX_LISTED = 3
_LABEL_IN_PROMPT = (
    "the prompt's text is the label: features that see it (positions text, last and all; PaliGemma's image tokens; "
    "TF-IDF) reveal the class"
)


def prepare_images(job: PrepareJob) -> list[str]:
    """Freeze the rows for a model that reads images, unless they exist. Returns warnings.

    Raises ConflictError if samples of other settings exist; DataError if the dataset or, unless
    `settings.on_bad_sample` is skip, one of its images cannot be read.
    """
    settings = job.settings
    loader = ImageLoader.of(job.model.model_type, job.model.name, job.model.revision, job.positions, settings)
    spec = job.spec
    label_in_prompt = spec.text_field is not None and (spec.text_is_label or spec.text_field == spec.label_field)
    warnings = [_LABEL_IN_PROMPT] if label_in_prompt and job.model.model_type == "vlm" else []
    for split, folder in job.splits:
        dataset = open_prepared(folder, job.spec, split)
        wanted = images_settings(dataset, loader.reader, settings)
        record = stored_samples(folder, wanted, job.overwrite)
        if record is None:
            _write(folder, dataset, wanted, loader, settings.on_bad_sample)
            record = read_samples_record(folder) or {}
        store_known_rows(folder, dataset)
        warnings += _skipped(folder, record.get("skipped", []), settings.on_bad_sample)
    return warnings


def images_settings(dataset: Dataset, reader: ReaderSpec, settings: Settings) -> dict[str, Any]:
    """Return everything that shapes samples.parquet; prompt settings only for a vlm."""
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
        rows = _images_and_texts(sampled_rows(dataset, wanted["sampled"]))
        for example, result in loader.describe(rows):
            bar.update(1)
            if isinstance(result, Failed):
                where = f"{dataset.spec.name}, split {dataset.split!r}, row {example.row}"
                if result.setting:
                    raise DataError(f"{where}: {result.reason}")
                if on_bad == "error":
                    raise DataError(f"{where}: {result.reason}; fix or remove it, or set settings.on_bad_sample: skip")
                logger.debug("%s left out: %s", where, result.reason)
                writer.skipped.append({"row": example.row, "id": example.id, "reason": result.reason})
            else:
                writer.write(_columns(example, result))
        if writer.n_rows == 0:
            raise DataError(f"{dataset.spec.name}, split {dataset.split!r}: none of its images can be read")


def _images_and_texts(examples: Iterator[Example]) -> Iterator[tuple[Example, ImageAndText]]:
    for example in examples:
        yield example, (example.image, example.text)


def _skipped(folder: Path, skipped: list[dict[str, Any]], on_bad: str) -> list[str]:
    """Warn about rows that were left out; raise DataError if `on_bad` is error."""
    if not skipped:
        return []
    listed = "; ".join(f"row {row['row']}: {row['reason']}" for row in skipped[:_MAX_LISTED])
    more = f" and {len(skipped) - _MAX_LISTED} more" if len(skipped) > _MAX_LISTED else ""
    message = f"{len(skipped)} images could not be read ({listed}{more})"
    if on_bad == "error":
        raise DataError(f"{folder}: {message}: fix them and add --overwrite, or set settings.on_bad_sample: skip")
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
