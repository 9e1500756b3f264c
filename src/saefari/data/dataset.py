"""Datasets from local files and folders, the installation (embedded) or the hub, as one type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from saefari.config import DatasetSpec
from saefari.data.embedded import EMBEDDED, open_embedded
from saefari.data.example import Example, as_image, as_label, as_text
from saefari.data.hub import HubUnreachableError, UnknownDatasetError, hub_layout, open_hub
from saefari.data.images import ImageSource
from saefari.data.known_rows import KnownRows, sources_digest
from saefari.data.local import LocalDataset, find_local, mosaic_hint
from saefari.data.slug import dataset_slug
from saefari.data.table import Table
from saefari.errors import PATH_LENGTH, DataError, enumerated, nearest, readable, shown
from saefari.fingerprint import file_digest, fingerprint

Problems = list[tuple[str, str]]
_UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Dataset:
    """One split of a dataset. Rows are streamed, so memory does not grow with their number."""

    spec: DatasetSpec
    split: str
    table: Table
    known: KnownRows | None = None
    """Stored fingerprint and number of the rows, if their sources are unchanged; else None."""

    @property
    def slug(self) -> str:
        """Folder name of the dataset in the output tree."""
        return dataset_slug(self.spec.name)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns."""
        return self.table.columns

    @cached_property
    def n_rows(self) -> int:
        """Number of rows; CSV and JSON files are read once to count them."""
        return self.known.n_rows if self.known else self.table.count()

    @cached_property
    def table_fingerprint(self) -> str:
        """Fingerprint of the rows: file hash, library versions with the rows' hash, or hub revision."""
        return self.known.fingerprint if self.known else self.table.fingerprint()

    def known_rows(self) -> KnownRows:
        """Return fingerprint and number of the rows, to be passed to `open_dataset` by the next run."""
        return self.known or KnownRows(sources_digest(self.table), self.table_fingerprint, self.n_rows)

    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of the rows and of all image files that they name."""
        table, name = self.table_fingerprint, self.spec.image_field
        if not name or self.table.folder is None:
            return table
        values = enumerate(self.table.values([name]))
        files = _image_files_digest(self._read(row, "image_field", name, value) for row, (value,) in values)
        return fingerprint({"rows": table, "images": files}) if files else table

    def rows(self) -> Iterator[Example]:
        """Yield all rows in source order. Raises DataError with the place of a row that cannot be read."""
        fields = _read_fields(self.spec)
        for row, values in enumerate(self.table.values([name for _, name in fields])):
            record = {key: self._read(row, key, name, value) for (key, name), value in zip(fields, values, strict=True)}
            yield Example(
                row=row,
                id=record.get("id_field") or str(row),
                text=record.get("text_field"),
                label=record.get("label_field"),
                group=record.get("group_field"),
                image=record.get("image_field"),
            )

    def images(self, rows: Sequence[int]) -> list[ImageSource | None]:
        """Return the images of the given rows, not yet decoded; None for null. `image_field` must be set."""
        name = str(self.spec.image_field)
        unique_rows = sorted(set(rows))
        values = zip(unique_rows, self.table.values([name], unique_rows), strict=True)
        images = {row: self._read(row, "image_field", name, value) for row, (value,) in values}
        return [images[row] for row in rows]

    def _read(self, row: int, key: str, name: str, value: object) -> Any:
        """Convert a raw value of a column; key: the YAML key that names the column."""
        try:
            if key == "image_field":
                return as_image(value, row, self.table.folder)
            return as_text(value) if key == "text_field" else as_label(value)
        except DataError as error:
            place = f"{readable(self.spec.name, PATH_LENGTH)}, split {shown(self.split)}, row {row}"
            raise DataError(f"{place}, column {shown(name)}: {error}") from None


def open_dataset(spec: DatasetSpec, split: str, known: KnownRows | None = None) -> Dataset:
    """Open one split of a local path, an embedded dataset or a hub id, tried in this order.

    known: record of an earlier run; used only if the sources of the rows are unchanged.
    Only hub ids use the network. Raises DataError for missing splits or columns, listing the existing ones.
    """
    local = find_local(spec.name, spec.config_name)
    if local is not None:
        table: Table = local.table(split)
    elif spec.name in EMBEDDED:
        table = open_embedded(spec.name, split)
    else:
        table = open_hub(spec, split)
    problems = _field_problems(spec, table.columns)
    if not spec.text_field and not spec.image_field:
        problems.insert(0, ("text_field", f"or image_field must be set; {_columns_help(table.columns)}"))
    if problems:
        raise DataError(f"{spec.name}: " + "; ".join(f"{key} {message}" for key, message in problems))
    unchanged = known is not None and known.sources == sources_digest(table)
    return Dataset(spec, split, table, known if unchanged else None)


def check_dataset(spec: DatasetSpec, allow_unreachable: bool = False) -> Problems:
    """Return the mistakes in a dataset's section as (YAML key, message), reading headers and downloading no data.

    A missing text_field or image_field is accepted here: the model determines which one is required.
    allow_unreachable: report no mistake if a hub dataset cannot be reached.
    """
    if spec.test_split == spec.split:
        return [("test_split", f"{shown(spec.test_split)} is also the training split")]
    try:
        local = find_local(spec.name, spec.config_name)
    except DataError as error:
        return [("name", str(error))]
    if local is not None:
        return _local_problems(spec, local)
    if spec.name in EMBEDDED:
        return _opening_problems(spec, lambda split: open_embedded(spec.name, split))
    return _hub_problems(spec, allow_unreachable)


def _local_problems(spec: DatasetSpec, local: LocalDataset) -> Problems:
    if local.path.is_file() and spec.config_name:
        name = shown(spec.name, PATH_LENGTH)
        return [("config_name", f"{shown(spec.config_name)}: {name} is a single file; give its folder")]
    try:
        single = local.is_single
    except DataError as error:
        return [("config_name", str(error))]
    if not single:
        return _opening_problems(spec, local.table)
    if spec.test_split:
        reason = f"{shown(spec.name, PATH_LENGTH)} is a single file or saved dataset, without splits"
        return [("test_split", f"{shown(spec.test_split)}: {reason}; give a folder with one file or dataset per split")]
    try:
        return _field_problems(spec, local.table(spec.split).columns)
    except DataError as error:
        return [("name", str(error))]


def _opening_problems(spec: DatasetSpec, table: Callable[[str], Table]) -> Problems:
    """Return the mistakes found by opening each split and reading its header."""
    problems: Problems = []
    for key, split in (("split", spec.split), ("test_split", spec.test_split)):
        if split is not None:
            try:
                problems += _field_problems(spec, table(split).columns)
            except DataError as error:
                problems.append((key, str(error)))
    return list(dict.fromkeys(problems))


def _hub_problems(spec: DatasetSpec, allow_unreachable: bool) -> Problems:
    try:
        columns, splits = hub_layout(spec)
    except (HubUnreachableError, UnknownDatasetError) as error:
        if allow_unreachable and isinstance(error, HubUnreachableError):
            return []
        not_local = f"not a local path or embedded dataset ({', '.join(EMBEDDED)}){nearest(spec.name, EMBEDDED)}"
        return [("name", "; ".join(filter(None, [str(error), not_local, mosaic_hint(spec.name)])))]
    except DataError as error:
        return [("config_name" if spec.config_name else "name", str(error))]
    problems = _field_problems(spec, columns) if columns else []
    for key, split in (("split", spec.split), ("test_split", spec.test_split)):
        if split and splits:
            problems += [
                (key, f"split {shown(name)} does not exist; splits: {enumerated(splits)}{nearest(name, splits)}")
                for name in (part.partition("[")[0] for part in split.split("+"))
                if name not in (*splits, "all")
            ]
    return problems


def _read_fields(spec: DatasetSpec) -> list[tuple[str, str]]:
    """Return (YAML key, column) of the columns that the section names."""
    keys = ("text_field", "image_field", "label_field", "id_field", "group_field")
    return [(key, getattr(spec, key)) for key in keys if getattr(spec, key)]


def _field_problems(spec: DatasetSpec, columns: Sequence[str]) -> Problems:
    """Return a mistake for each column that the section names and the dataset lacks."""
    return [
        (key, f"column {shown(name)} does not exist; {_columns_help(columns)}{nearest(name, columns)}")
        for key, name in _read_fields(spec)
        if name not in columns
    ]


def _columns_help(columns: Sequence[str]) -> str:
    return f"columns: {enumerated(columns)}"


def _image_files_digest(images: Iterable[ImageSource | None]) -> str | None:
    """SHA-256 of the contents of all images that are files, in order; None if there are none.

    A missing or unreadable file is hashed as a fixed word; the error is raised when the image is decoded.
    """
    digest, found = sha256(), False
    for image in images:
        if image is not None and isinstance(image.content, Path):
            digest.update(_image_file_hash(image.content).encode())
            found = True
    return digest.hexdigest() if found else None


def _image_file_hash(path: Path) -> str:
    try:
        return file_digest(path) if path.is_file() else _UNREADABLE
    except (OSError, ValueError):  # ValueError: a zero byte in the path
        return _UNREADABLE
