"""Images read in worker processes: decoded, preprocessed, and ready for the model when it is."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import islice
from typing import Protocol, TypeVar

import numpy as np
import torch

from saefari.config import DatasetSpec, ModelType, Settings
from saefari.data.dataset import Dataset, open_dataset
from saefari.data.images import BadImage, ImageSource, decode_image, pixels_digest
from saefari.errors import PATH_LENGTH, DataError, ModelError, shown
from saefari.models.image_input import Reading, TooLong, encode_view
from saefari.models.model_types import ReaderSpec
from saefari.models.workers import default_workers, in_workers

T = TypeVar("T")

_AT_ONCE = 8
"""Images of a task: enough that handing it over costs little."""
_LOOKED_UP_AT_ONCE = 256  # where a table holds the images themselves, so many are in memory
Unread = tuple[ImageSource | None, str | None]
"""An image and a text that are to be read together."""


class StoredRow(Protocol):
    """A row that was read before: its number in the dataset, text and positions are known, its pixels are not."""

    @property
    def row(self) -> int: ...
    @property
    def text(self) -> str | None: ...
    @property
    def length(self) -> int: ...
    @property
    def valid(self) -> np.ndarray: ...


R = TypeVar("R", bound=StoredRow)


@dataclass(frozen=True)
class Described:
    """A reading without what the model is given, its view as a file and the digest of the decoded picture."""

    reading: Reading
    view: bytes
    pixels: str


@dataclass(frozen=True)
class Failed:
    """An image that could not be read, or that the model cannot take, and why; setting: it is not the image's fault."""

    reason: str
    setting: bool = False


@dataclass(frozen=True)
class ReadRow:
    """A row as a model is given it; see `models.forward.Row`."""

    length: int
    valid: np.ndarray
    model_input: dict[str, torch.Tensor]


@dataclass(frozen=True)
class Images:
    """A dataset split whose images were read before; fingerprint: of the dataset, as it was then."""

    dataset: DatasetSpec
    split: str
    fingerprint: str

    def of(self, rows: Iterable[R]) -> Iterator[tuple[R, Unread]]:
        """Each row with its image and text, in order; those of many rows are looked up together.

        Raises DataError where the dataset is not what it was.
        """
        dataset = _opened(self)
        rows = iter(rows)
        while chunk := list(islice(rows, _LOOKED_UP_AT_ONCE)):
            images = dataset.images([row.row for row in chunk])
            yield from ((row, (image, row.text)) for row, image in zip(chunk, images, strict=True))


@lru_cache(maxsize=8)
def _opened(images: Images) -> Dataset:
    """The dataset, checked once: of many files that takes a while."""
    dataset = open_dataset(images.dataset, images.split)
    if dataset.fingerprint != images.fingerprint:
        raise DataError(
            f"{dataset.spec.name}, split {dataset.split!r}, changed since its samples were stored: "
            "run again with --overwrite"
        )
    return dataset


@dataclass(frozen=True)
class ImageLoader:
    """What reads images for a model, and in how many processes; 0 = in this one."""

    reader: ReaderSpec
    n_workers: int

    @classmethod
    def of(
        cls, model_type: ModelType, name: str, revision: str | None, positions: str, settings: Settings
    ) -> ImageLoader:
        """For a model, as a run is set."""
        spec = ReaderSpec(model_type, name, revision, positions, settings.max_length, settings.include_special_tokens)
        return cls(spec, default_workers() if settings.image_workers is None else settings.image_workers)

    def describe(self, rows: Iterable[tuple[T, Unread]]) -> Iterator[tuple[T, Described | Failed]]:
        """What each row's image is to the model, in order; a row without an image has failed."""
        for tickets, results in in_workers(partial(_describe, self.reader), _chunks(rows), self.n_workers):
            yield from zip(tickets, results, strict=True)

    def load(self, rows: Iterable[tuple[R, Unread]]) -> Generator[ReadRow]:
        """The rows with their pixels, in order. Raises DataError for an image that is not what it was.

        Closing it ends the processes.
        """
        for tickets, result in in_workers(partial(_load, self.reader), _chunks(rows), self.n_workers):
            if isinstance(result, Failed):
                raise DataError(result.reason)
            yield from _checked(tickets, result)


@dataclass(frozen=True)
class _Packed:
    """Tensors of one type end to end in one: each tensor that comes from another process holds a file open."""

    flat: torch.Tensor
    shapes: list[torch.Size]

    @classmethod
    def of(cls, parts: Sequence[torch.Tensor]) -> _Packed:
        return cls(torch.cat([part.flatten() for part in parts]), [part.shape for part in parts])

    def parts(self) -> Iterator[torch.Tensor]:
        """The tensors again, as views."""
        flat = torch.split_with_sizes(self.flat, [shape.numel() for shape in self.shapes])
        return (part.view(shape) for part, shape in zip(flat, self.shapes, strict=True))


@dataclass(frozen=True)
class _Task:
    """Images that were read together: the length of each, and what the model is given of them."""

    lengths: list[int]
    model_inputs: dict[str, _Packed]


def _checked(tickets: Sequence[StoredRow], task: _Task) -> Iterator[ReadRow]:
    """The rows that a task read. Raises DataError for one that is not as long as it was."""
    columns = [packed.parts() for packed in task.model_inputs.values()]
    for row, length, *parts in zip(tickets, task.lengths, *columns, strict=True):
        if length != row.length:
            raise DataError(
                f"an image has {length} positions where the stored samples have {row.length}: "
                "it changed since; run again with --overwrite"
            )
        yield ReadRow(row.length, row.valid, dict(zip(task.model_inputs, parts, strict=True)))


def _chunks(rows: Iterable[tuple[T, Unread]]) -> Iterator[tuple[list[T], list[Unread]]]:
    rows = iter(rows)
    while chunk := list(islice(rows, _AT_ONCE)):
        yield [ticket for ticket, _ in chunk], [unread for _, unread in chunk]


def _describe(spec: ReaderSpec, chunk: Sequence[Unread]) -> list[Described | Failed]:
    return [_described(spec, *unread) for unread in chunk]


def _described(spec: ReaderSpec, source: ImageSource | None, text: str | None) -> Described | Failed:
    try:
        if source is None:
            return Failed("there is no image")
        image = decode_image(source)
        reading = spec.load().read(image, text)
    except (BadImage, ModelError) as error:
        return _failed(source, error)
    light = replace(reading, model_input={}, view=reading.view.resize((1, 1)))  # nothing heavy travels back
    return Described(light, encode_view(reading.view), pixels_digest(image))


def _load(spec: ReaderSpec, chunk: Sequence[Unread]) -> _Task | Failed:
    """What the model is given of these images, or what is wrong with the first of them that cannot be read."""
    readings = []
    for source, text in chunk:
        try:
            if source is None:
                raise BadImage("an image that was there is missing now: run again with --overwrite")
            readings.append(spec.load().read(decode_image(source), text))
        except (BadImage, ModelError) as error:
            return _failed(source, error)
    inputs = [reading.model_input for reading in readings]
    packed = {key: _Packed.of([given[key] for given in inputs]) for key in inputs[0]}
    return _Task([reading.length for reading in readings], packed)


def _failed(source: ImageSource | None, error: BadImage | ModelError) -> Failed:
    if isinstance(error, BadImage) or source is None:
        return Failed(str(error))
    return Failed(f"image {shown(source.name, PATH_LENGTH)}: {error}", setting=isinstance(error, TooLong))
