"""Decode and preprocess images in worker processes, ahead of the model."""

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
"""Images per task; large enough to make the transfer cheap."""
_LOOKED_UP_AT_ONCE = 256  # images in memory at once if the table itself holds them
ImageAndText = tuple[ImageSource | None, str | None]
"""An undecoded image and the text to read with it."""


class StoredRow(Protocol):
    """A prepared row: its number in the dataset, text and positions are stored, its pixels are not."""

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
    """A reading without model input, with its encoded view and the digest of the decoded pixels."""

    reading: Reading
    view: bytes
    pixels: str


@dataclass(frozen=True)
class Failed:
    """Why an image cannot be read or used by the model; setting: the cause is a setting, not the image."""

    reason: str
    setting: bool = False


@dataclass(frozen=True)
class ReadRow:
    """A row ready for the model; see `models.forward.Row`."""

    length: int
    valid: np.ndarray
    model_input: dict[str, torch.Tensor]


@dataclass(frozen=True)
class Images:
    """A prepared dataset split with images; fingerprint: that of the dataset when it was prepared."""

    dataset: DatasetSpec
    split: str
    fingerprint: str

    def of(self, rows: Iterable[R]) -> Iterator[tuple[R, ImageAndText]]:
        """Yield each row with its image and text, in order; look them up in chunks.

        Raises DataError if the dataset changed.
        """
        dataset = _open_unchanged(self)
        rows = iter(rows)
        while chunk := list(islice(rows, _LOOKED_UP_AT_ONCE)):
            images = dataset.images([row.row for row in chunk])
            yield from ((row, (image, row.text)) for row, image in zip(chunk, images, strict=True))


@lru_cache(maxsize=8)
def _open_unchanged(images: Images) -> Dataset:
    """Open the dataset and check its fingerprint; cached, since many files take a while."""
    dataset = open_dataset(images.dataset, images.split)
    if dataset.fingerprint != images.fingerprint:
        raise DataError(
            f"{dataset.spec.name}, split {dataset.split!r}, changed since its samples were stored: "
            "run again with --overwrite"
        )
    return dataset


@dataclass(frozen=True)
class ImageLoader:
    """The image reader of a model and the number of worker processes; 0 = this process."""

    reader: ReaderSpec
    n_workers: int

    @classmethod
    def of(
        cls, model_type: ModelType, name: str, revision: str | None, positions: str, settings: Settings
    ) -> ImageLoader:
        """Build the loader of a model from the run's settings."""
        spec = ReaderSpec(model_type, name, revision, positions, settings.max_length, settings.include_special_tokens)
        return cls(spec, default_workers() if settings.image_workers is None else settings.image_workers)

    def describe(self, rows: Iterable[tuple[T, ImageAndText]]) -> Iterator[tuple[T, Described | Failed]]:
        """Read each row's image, in order, without its pixels; a row without an image gives Failed."""
        for tickets, results in in_workers(partial(_describe, self.reader), _chunks(rows), self.n_workers):
            yield from zip(tickets, results, strict=True)

    def load(self, rows: Iterable[tuple[R, ImageAndText]]) -> Generator[ReadRow]:
        """Yield the rows with their pixels, in order. Raises DataError for an image that changed.

        Closing the generator ends the processes.
        """
        for tickets, result in in_workers(partial(_load, self.reader), _chunks(rows), self.n_workers):
            if isinstance(result, Failed):
                raise DataError(result.reason)
            yield from _checked(tickets, result)


@dataclass(frozen=True)
class _Packed:
    """Tensors of one dtype concatenated into one, since each tensor from another process keeps a file open."""

    flat: torch.Tensor
    shapes: list[torch.Size]

    @classmethod
    def of(cls, parts: Sequence[torch.Tensor]) -> _Packed:
        return cls(torch.cat([part.flatten() for part in parts]), [part.shape for part in parts])

    def parts(self) -> Iterator[torch.Tensor]:
        """Return the original tensors as views."""
        flat = torch.split_with_sizes(self.flat, [shape.numel() for shape in self.shapes])
        return (part.view(shape) for part, shape in zip(flat, self.shapes, strict=True))


@dataclass(frozen=True)
class _TaskResult:
    """The result of one task: the length of each image and the packed model inputs."""

    lengths: list[int]
    model_inputs: dict[str, _Packed]


def _checked(tickets: Sequence[StoredRow], result: _TaskResult) -> Iterator[ReadRow]:
    """Yield the rows of a task. Raises DataError if the length of one changed."""
    columns = [packed.parts() for packed in result.model_inputs.values()]
    for row, length, *parts in zip(tickets, result.lengths, *columns, strict=True):
        if length != row.length:
            raise DataError(
                f"an image has {length} positions, but {row.length} in the stored samples: "
                "it changed since; run again with --overwrite"
            )
        yield ReadRow(row.length, row.valid, dict(zip(result.model_inputs, parts, strict=True)))


def _chunks(rows: Iterable[tuple[T, ImageAndText]]) -> Iterator[tuple[list[T], list[ImageAndText]]]:
    rows = iter(rows)
    while chunk := list(islice(rows, _AT_ONCE)):
        yield [ticket for ticket, _ in chunk], [item for _, item in chunk]


def _describe(spec: ReaderSpec, chunk: Sequence[ImageAndText]) -> list[Described | Failed]:
    return [_described(spec, *item) for item in chunk]


def _described(spec: ReaderSpec, source: ImageSource | None, text: str | None) -> Described | Failed:
    try:
        if source is None:
            return Failed("there is no image")
        image = decode_image(source)
        reading = spec.load().read(image, text)
    except (BadImage, ModelError) as error:
        return _failed(source, error)
    light = replace(reading, model_input={}, view=reading.view.resize((1, 1)))  # cheap to send between processes
    return Described(light, encode_view(reading.view), pixels_digest(image))


def _load(spec: ReaderSpec, chunk: Sequence[ImageAndText]) -> _TaskResult | Failed:
    """Return the model inputs of these images, or Failed for the first that cannot be read."""
    readings = []
    for source, text in chunk:
        try:
            if source is None:
                raise BadImage("the image of a prepared row is missing: run again with --overwrite")
            readings.append(spec.load().read(decode_image(source), text))
        except (BadImage, ModelError) as error:
            return _failed(source, error)
    inputs = [reading.model_input for reading in readings]
    packed = {key: _Packed.of([given[key] for given in inputs]) for key in inputs[0]}
    return _TaskResult([reading.length for reading in readings], packed)


def _failed(source: ImageSource | None, error: BadImage | ModelError) -> Failed:
    if isinstance(error, BadImage) or source is None:
        return Failed(str(error))
    return Failed(f"image {shown(source.name, PATH_LENGTH)}: {error}", setting=isinstance(error, TooLong))
