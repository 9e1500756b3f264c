"""Decode and resize a dataset split's images once, and keep them on disk during training.

Training reads batches in any order through a memory map. No image is decoded twice, even if an interrupted training is
resumed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from torch.utils.data import DataLoader

from saefari.data.dataset import Dataset
from saefari.data.example import Example
from saefari.data.images import BadImage, ImageSource, decode_image, pixels_digest
from saefari.data.splits import sample_rows
from saefari.errors import DataError, StoreError
from saefari.fingerprint import fingerprint
from saefari.log import progress_bar
from saefari.models.alexnet_preprocessing import view
from saefari.store import write_parquet
from saefari.store.files import atomic_write

_BATCH_SIZE = 64
_MIN_ROWS_FOR_WORKERS = 4000
"""Fewer rows are decoded in this process, since starting workers takes longer."""
NO_IMAGE, NO_LABEL = "no image", "no label"
_UNUSABLE = (NO_IMAGE, NO_LABEL)
_SCHEMA = pa.schema(
    [("row", pa.int64()), *((name, pa.string()) for name in ("id", "label", "group", "pixels", "reason"))]
)
_ViewOrReason = tuple[str, np.ndarray] | str
"""Digest of the pixels and the view, or the reason why there is none."""


@dataclass(frozen=True)
class DecodedImages:
    """Decoded images in dataset order.

    views: uint8 [n, S, S, 3], memory-mapped. table: row, id, label, group (text or null), pixels (digest of the decoded
    image) and reason (why there is no image; `pixels` is then null).
    """

    views: np.ndarray
    table: pa.Table

    def column(self, name: str) -> list[Any]:
        """Return the values of a column of the table."""
        values: list[Any] = self.table[name].to_pylist()
        return values

    @property
    def bad(self) -> list[dict[str, Any]]:
        """row, id and reason of images that could not be read."""
        rows = self.table.select(["row", "id", "reason"]).to_pylist()
        return [row for row in rows if row["reason"] not in (None, *_UNUSABLE)]


class _ViewDataset:
    """Decodes images, as a dataset whose keys are images, in a DataLoader's processes."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __getitem__(self, source: ImageSource | str) -> _ViewOrReason:
        if isinstance(source, str):
            return source
        try:
            image = decode_image(source)
        except BadImage as error:
            return str(error)
        return pixels_digest(image), view(image, self._size)


@dataclass(frozen=True)
class Decoding:
    """Options of decoding. size: side of the square views in pixels. skip_bad: leave out unreadable images instead of
    raising an error. workers: processes that decode, if there are many images."""

    size: int
    folder: Path
    skip_bad: bool
    workers: int


def decode(dataset: Dataset, max_rows: int | None, seed: int, options: Decoding) -> DecodedImages:
    """Decode the images of a split, or reuse those in `options.folder`.

    max_rows, seed: see `sample_rows`. Raises DataError if the dataset or, unless skipped, an image cannot be read;
    StoreError if the disk has too little space.
    """
    rows = sample_rows(dataset.n_rows, max_rows, seed)
    identity = {
        "dataset": [dataset.fingerprint, dataset.split, dataset.spec.model_dump(exclude={"name", "test_split"})],
        "sampled": rows.tolist() if len(rows) < dataset.n_rows else None,
        "size": options.size,
        "pillow": version("pillow"),
    }
    views = options.folder / f"views-{fingerprint(identity)[:16]}.npy"
    table = views.with_suffix(".parquet")  # written last: its presence means the views are complete
    if not table.exists():
        _decode(dataset, rows, options, views, table)
    images = DecodedImages(np.load(views, mmap_mode="r", allow_pickle=False), pq.read_table(table))
    for bad in images.bad[:1]:
        _raise_unless_skipped(dataset, bad["reason"], options)
    return images


def remove_decoded(folder: Path) -> None:
    """Remove the files of `decode` from a folder, and the folder if it is then empty."""
    for pattern in ("*views-*.parquet*", "*views-*.npy*"):
        for file in folder.glob(pattern):
            file.unlink()
    with suppress(OSError):
        folder.rmdir()


def _decode(dataset: Dataset, rows: np.ndarray, options: Decoding, views: Path, table: Path) -> None:
    shape = (len(rows), options.size, options.size, 3)
    _check_free_space(views.parent, int(np.prod(shape)))
    examples = _ChosenRows(dataset, rows)
    digests: list[str | None] = []
    reasons: list[str | None] = []
    bar = progress_bar(len(rows), f"decode {dataset.slug}", "images")
    with atomic_write(views) as temporary, bar:
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
        for batch in _loader(examples, options.size, options.workers if len(rows) > _MIN_ROWS_FOR_WORKERS else 0):
            for result in batch:
                digest, reason = (None, result) if isinstance(result, str) else (result[0], None)
                if isinstance(result, str):
                    _raise_unless_skipped(dataset, result, options)
                else:
                    array[len(digests)] = result[1]
                digests.append(digest)
                reasons.append(reason)
            bar.update(len(batch))
        array.flush()
    columns = {
        name: [getattr(example, name) for example in examples.passed] for name in ("row", "id", "label", "group")
    }
    write_parquet(table, pa.table({**columns, "pixels": digests, "reason": reasons}, schema=_SCHEMA))


def _raise_unless_skipped(dataset: Dataset, reason: str, options: Decoding) -> None:
    """Raise DataError for an unreadable image, unless it may be skipped."""
    if reason not in _UNUSABLE and not options.skip_bad:
        raise DataError(f"{dataset.spec.name}: {reason}; fix or remove it, or set settings.on_bad_sample: skip")


class _ChosenRows:
    """A sampler of the chosen rows: yields the image, or the reason why the row is unusable; records the rows."""

    def __init__(self, dataset: Dataset, rows: np.ndarray) -> None:
        self._dataset, self._rows = dataset, set(rows.tolist())
        self.passed: list[Example] = []

    def __iter__(self) -> Iterator[ImageSource | str]:
        for example in self._dataset.rows():
            if example.row in self._rows:
                self.passed.append(replace(example, text=None, image=None))
                yield NO_LABEL if example.label is None else example.image or NO_IMAGE


def _loader(examples: _ChosenRows, size: int, workers: int) -> Any:
    """Return a loader of lists of `_ViewDataset` results, in order; images are sent to workers as dataset keys."""
    return DataLoader(
        _ViewDataset(size),  # type: ignore[arg-type]
        sampler=examples,
        batch_size=_BATCH_SIZE,
        collate_fn=list,
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
    )


def _check_free_space(folder: Path, n_bytes: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        raise StoreError(
            f"{folder}: the decoded images need {n_bytes / 1e9:.1f} GB and {free / 1e9:.1f} GB are free; "
            "lower vision_training.image_size or settings.max_samples, or choose another settings.base_save_dir"
        )
