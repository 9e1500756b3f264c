"""A dataset split's images as a model sees them, decoded once and kept on the disk while the model is trained.

Training then reads batches of them in any order through a memory map: images that fit into the memory are read from
there, others from the disk, and none is decoded twice, not even by a training that goes on after a kill.
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

_AT_ONCE = 64
_FEW = 4000
"""Rows that are decoded sooner than processes to do it have started."""
NO_IMAGE, NO_LABEL = "no image", "no label"
_OF_NO_USE = (NO_IMAGE, NO_LABEL)
_SCHEMA = pa.schema(
    [("row", pa.int64()), *((name, pa.string()) for name in ("id", "label", "group", "pixels", "reason"))]
)
_Seen = tuple[str, np.ndarray] | str
"""Digest of the picture and its view, or why there is none."""


@dataclass(frozen=True)
class Pictures:
    """views: uint8 [n, S, S, 3], memory-mapped. table: their row, id, label, group (text or null), pixels (digest of
    the decoded picture) and reason (why there is no picture, then `pixels` is null); both in the dataset's order."""

    views: np.ndarray
    table: pa.Table

    def column(self, name: str) -> list[Any]:
        """The values of a column of the table."""
        values: list[Any] = self.table[name].to_pylist()
        return values

    @property
    def bad(self) -> list[dict[str, Any]]:
        """row, id and reason of the images that could not be read."""
        rows = self.table.select(["row", "id", "reason"]).to_pylist()
        return [row for row in rows if row["reason"] not in (None, *_OF_NO_USE)]


class _Viewer:
    """Decodes images; as a data set whose keys are images it can do so in a DataLoader's processes."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __getitem__(self, source: ImageSource | str) -> _Seen:
        if isinstance(source, str):
            return source
        try:
            image = decode_image(source)
        except BadImage as error:
            return str(error)
        return pixels_digest(image), view(image, self._size)


@dataclass(frozen=True)
class Decoding:
    """How images are read. size: side of the square they become, in pixels. skip_bad: those that cannot be read are
    left out instead of stopping the work. workers: processes that decode, where there are many images."""

    size: int
    folder: Path
    skip_bad: bool
    workers: int


def decode(dataset: Dataset, max_rows: int | None, seed: int, how: Decoding) -> Pictures:
    """The images of a split; read from `how.folder` where they were decoded before.

    max_rows, seed: a sample of the rows, see `sample_rows`. Raises DataError where the dataset or, unless they are
    skipped, an image cannot be read, StoreError where the disk has no room for the images.
    """
    rows = sample_rows(dataset.n_rows, max_rows, seed)
    identity = {
        "dataset": [dataset.fingerprint, dataset.split, dataset.spec.model_dump(exclude={"name", "test_split"})],
        "sampled": rows.tolist() if len(rows) < dataset.n_rows else None,
        "size": how.size,
        "pillow": version("pillow"),
    }
    views = how.folder / f"views-{fingerprint(identity)[:16]}.npy"
    table = views.with_suffix(".parquet")  # written last: with it, the images are whole
    if not table.exists():
        _decode(dataset, rows, how, views, table)
    pictures = Pictures(np.load(views, mmap_mode="r", allow_pickle=False), pq.read_table(table))
    for bad in pictures.bad[:1]:
        _refuse(dataset, bad["reason"], how)
    return pictures


def forget(folder: Path) -> None:
    """Remove what `decode` keeps in a folder, and the folder if nothing else is in it."""
    for pattern in ("*views-*.parquet*", "*views-*.npy*"):
        for file in folder.glob(pattern):
            file.unlink()
    with suppress(OSError):
        folder.rmdir()


def _decode(dataset: Dataset, rows: np.ndarray, how: Decoding, views: Path, table: Path) -> None:
    shape = (len(rows), how.size, how.size, 3)
    _check_room(views.parent, int(np.prod(shape)))
    examples = _Chosen(dataset, rows)
    digests: list[str | None] = []
    reasons: list[str | None] = []
    bar = progress_bar(len(rows), f"decode {dataset.slug}", "images")
    with atomic_write(views) as temporary, bar:
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
        for batch in _loader(examples, how.size, how.workers if len(rows) > _FEW else 0):
            for seen in batch:
                digest, reason = (None, seen) if isinstance(seen, str) else (seen[0], None)
                if isinstance(seen, str):
                    _refuse(dataset, seen, how)
                else:
                    array[len(digests)] = seen[1]
                digests.append(digest)
                reasons.append(reason)
            bar.update(len(batch))
        array.flush()
    columns = {name: [getattr(one, name) for one in examples.seen] for name in ("row", "id", "label", "group")}
    write_parquet(table, pa.table({**columns, "pixels": digests, "reason": reasons}, schema=_SCHEMA))


def _refuse(dataset: Dataset, reason: str, how: Decoding) -> None:
    """Raises DataError for an image that cannot be read, unless it may be skipped."""
    if reason not in _OF_NO_USE and not how.skip_bad:
        raise DataError(f"{dataset.spec.name}: {reason}; mend or remove it, or say settings.on_bad_sample: skip")


class _Chosen:
    """What stands for each of the chosen rows: its image or, where it is of no use, why."""

    def __init__(self, dataset: Dataset, rows: np.ndarray) -> None:
        self._dataset, self._rows = dataset, set(rows.tolist())
        self.seen: list[Example] = []

    def __iter__(self) -> Iterator[ImageSource | str]:
        for example in self._dataset.rows():
            if example.row in self._rows:
                self.seen.append(replace(example, text=None, image=None))
                yield NO_LABEL if example.label is None else example.image or NO_IMAGE


def _loader(examples: _Chosen, size: int, workers: int) -> Any:
    """Lists of what `_Viewer` gives, in order; the images travel to its processes as the keys of a data set."""
    return DataLoader(
        _Viewer(size),  # type: ignore[arg-type]
        sampler=examples,
        batch_size=_AT_ONCE,
        collate_fn=list,
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
    )


def _check_room(folder: Path, n_bytes: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        raise StoreError(
            f"{folder}: the decoded images need {n_bytes / 1e9:.1f} GB and {free / 1e9:.1f} GB are free; "
            "lower vision_training.image_size or settings.max_samples, or choose another settings.base_save_dir"
        )
