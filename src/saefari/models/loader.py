"""Images read in worker processes: decoded, preprocessed, and ready for the model when it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Protocol, TypeVar

import numpy as np
import torch

from saefari.config import DatasetSpec, ModelType, Settings
from saefari.data.dataset import open_dataset
from saefari.data.images import BadImage, ImageSource, decode_image, pixels_digest
from saefari.errors import DataError, ModelError
from saefari.models.kinds import ReaderSpec
from saefari.models.reading import Reading, encode_view
from saefari.models.workers import default_workers, in_workers

T = TypeVar("T")

_AT_ONCE = 8
"""Images of a task: enough that handing it over costs little."""
_LOOKED_UP_AT_ONCE = 2048
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
    """An image that could not be read, or that the model cannot take, and why."""

    reason: str


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
        dataset = open_dataset(self.dataset, self.split)
        if dataset.fingerprint != self.fingerprint:
            raise DataError(
                f"{dataset.spec.name}, split {dataset.split!r}, changed since its samples were stored: "
                "run again with --overwrite"
            )
        rows = iter(rows)
        while chunk := list(islice(rows, _LOOKED_UP_AT_ONCE)):
            images = dataset.images([row.row for row in chunk])
            yield from ((row, (image, row.text)) for row, image in zip(chunk, images, strict=True))


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

    def load(self, rows: Iterable[tuple[R, Unread]]) -> Iterator[ReadRow]:
        """The rows with their pixels, in order. Raises DataError for an image that is not what it was."""
        for tickets, (results, shared) in in_workers(partial(_load, self.reader), _chunks(rows), self.n_workers):
            yield from _unpacked(tickets, results, shared)


def _unpacked(
    tickets: Sequence[StoredRow], results: Sequence[ReadRow | Failed], shared: dict[str, torch.Tensor]
) -> Iterator[ReadRow]:
    """A task's rows, each with its part of what they share."""
    for i, (row, result) in enumerate(zip(tickets, results, strict=True)):
        if isinstance(result, Failed):
            raise DataError(result.reason)
        if result.length != row.length:
            raise DataError(
                f"an image has {result.length} positions where the stored samples have {row.length}: "
                "it changed since; run again with --overwrite"
            )
        yield ReadRow(row.length, row.valid, result.model_input | {key: whole[i] for key, whole in shared.items()})


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


def _load(spec: ReaderSpec, chunk: Sequence[Unread]) -> tuple[list[ReadRow | Failed], dict[str, torch.Tensor]]:
    """The rows, and what has one shape in all of them as one tensor [n, ...]: one piece of shared memory, not many."""
    rows: list[ReadRow | Failed] = []
    for source, text in chunk:
        try:
            if source is None:
                raise BadImage("an image that was there is missing now: run again with --overwrite")
            reading = spec.load().read(decode_image(source), text)
            rows.append(ReadRow(reading.length, reading.valid, reading.model_input))
        except (BadImage, ModelError) as error:
            rows.append(_failed(source, error))
    read = [row for row in rows if isinstance(row, ReadRow)]
    shared: dict[str, torch.Tensor] = {}
    if len(read) == len(rows):
        for key in list(read[0].model_input):
            parts = [row.model_input[key] for row in read]
            if len({part.shape for part in parts}) == 1:
                shared[key] = torch.stack(parts)
                for row in read:
                    del row.model_input[key]
    return rows, shared


def _failed(source: ImageSource | None, error: BadImage | ModelError) -> Failed:
    return Failed(str(error) if isinstance(error, BadImage) or source is None else f"image {source.name!r}: {error}")
