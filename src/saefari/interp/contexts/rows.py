"""Rows of a stored split as token texts, or as image positions with their image."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import pyarrow as pa

from saefari.errors import StoreError
from saefari.interp.records import ContextImage
from saefari.store import has_images, iter_samples, read_samples, read_views

_MAX_CACHED_BYTES = 1 << 28
"""Shards of texts, and images, that stay in memory; each kind may use this much."""
T = TypeVar("T")
_COLUMNS = ("row", "text", "label", "span_start", "span_end")
_IMAGE_COLUMNS = ("grid", "patch", "valid")


@dataclass(frozen=True)
class TokenRow:
    """One row. tokens: text of each valid position, see `TokenRows`. label: its class, if it has one."""

    row: int
    tokens: tuple[str, ...]
    label: str | None


class TokenRows:
    """Rows of a split as token texts, read by shards; recently used shards stay in memory.

    The text of a token includes the characters between it and the previous valid token, such as white space, so that
    joined tokens give the row's text from the first valid token to the last. Of several tokens that share a character
    the first has it. A row whose only position has no characters (`positions: cls`) has its whole text as its token.
    Positions of an image are named "patch row 1, column 2" (counted from 0), others in a row with an
    image by their text, "cls" or "special token".
    Raises StoreError if the samples are missing or unreadable, or lack a requested row.
    """

    def __init__(self, samples: Path) -> None:
        """samples: folder of a split, with samples.parquet."""
        self.samples = samples
        self.has_images = has_images(samples)
        self._shards: _Recent[_Shard] = _Recent()
        self._images: _Recent[ContextImage | None] = _Recent()

    def __iter__(self) -> Iterator[TokenRow]:
        """Yield all rows in stored order, one shard in memory at a time."""
        return self.iterate()

    def iterate(self, rows: Collection[int] | None = None) -> Iterator[TokenRow]:
        """Yield rows in stored order, one shard in memory at a time. rows: dataset row numbers, None = all."""
        wanted = None if rows is None else {int(row) for row in rows}
        for table in iter_samples(self.samples, self._columns):
            shard = _Shard(table)
            for place, row in enumerate(shard.rows.tolist()):
                if wanted is None or row in wanted:
                    yield TokenRow(row, shard.tokens(place), shard.labels[place])

    def tokens(self, row: int, start: int = 0, stop: int | None = None) -> tuple[str, ...]:
        """Return the texts of valid positions [start, stop) of a dataset row."""
        shard, place = self._find(row)
        return shard.tokens(place, start, stop)

    def label(self, row: int) -> str | None:
        """Return the class of a dataset row, or None."""
        shard, place = self._find(row)
        return shard.labels[place]

    def images(self, rows: Sequence[int]) -> dict[int, ContextImage]:
        """Return row -> image with the cells of all its positions; rows without an image are left out."""
        missing = sorted({row for row in rows if row not in self._images}) if self.has_images else []
        read = read_views(self.samples, missing) if missing else []
        for row, view in zip(missing, read, strict=True):
            image = None if view is None else ContextImage(view.encoded, view.grid, view.patch.astype(np.int32))
            self._images.add(row, image, 0 if image is None else len(image.png))
        found = {row: self._images.get(row) for row in rows} if self.has_images else {}
        self._images.shrink()
        return {row: image for row, image in found.items() if image is not None}

    @cached_property
    def _columns(self) -> tuple[str, ...]:
        return _COLUMNS + (_IMAGE_COLUMNS if self.has_images else ())

    @cached_property
    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        """Dataset row numbers, ascending, and the first row's place of each shard."""
        column = read_samples(self.samples, ["row"])["row"]
        sizes = [len(table) for table in iter_samples(self.samples, ["row"])]
        return column.to_numpy(), np.cumsum([0, *sizes])

    def _find(self, row: int) -> tuple[_Shard, int]:
        """Return the shard of a dataset row and its place there."""
        rows, starts = self._places
        place = int(np.searchsorted(rows, row))
        if place == len(rows) or rows[place] != row:
            raise StoreError(f"{self.samples}: samples.parquet has no row {row}")
        number = int(np.searchsorted(starts, place, side="right")) - 1
        return self._shard(number), place - int(starts[number])

    def _shard(self, number: int) -> _Shard:
        if number in self._shards:
            return self._shards.get(number)
        try:
            (table,) = iter_samples(self.samples, self._columns, [number])
        except (OSError, pa.ArrowInvalid) as error:
            raise StoreError(
                f"{self.samples}: samples.parquet cannot be read ({error}): run the extraction again"
            ) from None
        shard = _Shard(table)
        self._shards.add(number, shard, table.nbytes)
        self._shards.shrink()
        return shard


class _Recent(Generic[T]):
    """Values by number; above a total size, `shrink` drops the least recently used, but never the last one."""

    def __init__(self) -> None:
        self._values: OrderedDict[int, tuple[T, int]] = OrderedDict()
        self._bytes = 0

    def __contains__(self, number: int) -> bool:
        return number in self._values

    def add(self, number: int, value: T, n_bytes: int) -> None:
        self._values[number] = value, n_bytes
        self._bytes += n_bytes

    def get(self, number: int) -> T:
        self._values.move_to_end(number)
        return self._values[number][0]

    def shrink(self) -> None:
        while self._bytes > _MAX_CACHED_BYTES and len(self._values) > 1:
            self._bytes -= self._values.popitem(last=False)[1][1]


class _Shard:
    """Rows of one shard: texts, labels, spans of positions and, with images, their cells."""

    def __init__(self, table: pa.Table) -> None:
        self.rows: np.ndarray = table["row"].to_numpy()
        self.labels: list[str | None] = table["label"].to_pylist()
        self._texts: list[str | None] = table["text"].to_pylist()
        self._offsets, starts = _flat(table, "span_start")
        _, ends = _flat(table, "span_end")
        self._begins, self._ends = _token_bounds(starts, ends, self._offsets)
        self._images: list[dict[str, Any]] | None = None
        if "patch" in table.column_names:
            self._images = table.select(list(_IMAGE_COLUMNS)).to_pylist()

    def tokens(self, place: int, start: int = 0, stop: int | None = None) -> tuple[str, ...]:
        """Return the texts of valid positions [start, stop) of the row at a place."""
        first, last = int(self._offsets[place]), int(self._offsets[place + 1])
        start, stop, _ = slice(start, stop).indices(last - first)
        text = self._texts[place] or ""
        if self._images is not None and self._images[place]["grid"] is not None:
            return self._position_names(place, text, start, stop)
        if last - first == 1 and self._begins[first] == self._ends[first]:
            return (text,)[start:stop]
        bounds = slice(first + start, first + stop)
        pairs = zip(self._begins[bounds].tolist(), self._ends[bounds].tolist(), strict=True)
        return tuple(text[begin:end] for begin, end in pairs)

    def _position_names(self, place: int, text: str, start: int, stop: int) -> tuple[str, ...]:
        assert self._images is not None
        image, offset = self._images[place], int(self._offsets[place])
        columns, patches = int(image["grid"][1]), image["patch"] or []
        begins_with_class = not text and (image["valid"] or [None])[0] == 0
        names = []
        for position in range(start, stop):
            cell = patches[position]
            begin, end = int(self._begins[offset + position]), int(self._ends[offset + position])
            if cell >= 0:
                row, column = divmod(cell, columns)
                names.append(f"patch row {row}, column {column}")
            elif position == 0 and begins_with_class:
                names.append("cls")
            else:
                names.append(text[begin:end].strip() or "special token")
        return tuple(names)


def _token_bounds(starts: np.ndarray, ends: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (begin, end) of each token's text: it begins where the previous token of its row ends.

    starts, ends: int32 [n_positions], character spans. offsets: [n_rows + 1], first position of each row.
    """
    lengths = np.diff(offsets)
    shift = np.repeat(np.arange(len(lengths), dtype=np.int64) << 32, lengths)  # keeps the maximum within a row
    last = np.maximum.accumulate(ends + shift) - shift
    begins = np.concatenate([last[:1], last[:-1]])
    firsts = offsets[:-1][lengths > 0]
    begins[firsts] = starts[firsts]
    return begins, last


def _flat(table: pa.Table, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (offsets [n + 1], values) of a column of lists."""
    column = table[name].combine_chunks()
    column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    offsets = column.offsets.to_numpy()
    return offsets - offsets[0], column.values.to_numpy()[offsets[0] : offsets[-1]]
