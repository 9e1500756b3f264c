"""Datasets of the Hugging Face hub, through `datasets`: downloaded once, then read from disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saefari.config import DatasetSpec
from saefari.data.example import name_classes
from saefari.data.table import rows_per_batch
from saefari.errors import DataError, shortened


class HubUnreachableError(DataError):
    """The hub, or the dataset on it, could not be reached, nor is it in the local cache."""


class UnknownDatasetError(DataError):
    """The hub answered that it has no such dataset, or none that this user may read."""


@dataclass(frozen=True)
class HubTable:
    """One split, memory-mapped from the local cache of `datasets`."""

    dataset: Any
    """A `datasets.Dataset`."""
    source: str
    """What decides the rows: builder hash (the commit, for most datasets), configuration and split."""
    folder: Path | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names."""
        return tuple(self.dataset.column_names)

    def count(self) -> int:
        """Number of rows."""
        return len(self.dataset)

    def fingerprint(self) -> str:
        """The dataset's revision as the hub's library knows it."""
        return self.source

    def values(self, fields: Sequence[str], rows: Sequence[int] | None = None) -> Iterator[tuple[object, ...]]:
        """Values of the given columns, row by row; integer classes as their names, images not decoded."""
        from datasets import Image

        chosen = self.dataset.select_columns(list(dict.fromkeys(fields)))
        chosen = chosen if rows is None else chosen.select(rows)
        for field, feature in chosen.features.items():
            if isinstance(feature, Image):
                chosen = chosen.cast_column(field, Image(decode=False))
        names = {field: getattr(chosen.features[field], "names", None) for field in fields}
        for batch in chosen.iter(batch_size=rows_per_batch(len(chosen), chosen.data.nbytes)):
            columns = [name_classes(batch[field], names[field]) for field in fields]
            yield from zip(*columns, strict=True)


def open_hub(spec: DatasetSpec, split: str) -> HubTable:
    """Download (or find in the cache) one split of a hub dataset; it may be a slice such as `train[:100]`.

    Raises HubUnreachableError, UnknownDatasetError, or DataError for an unknown configuration or split.
    """
    builder = _builder(spec)
    try:
        builder.download_and_prepare()
        dataset = builder.as_dataset(split=split)
    except (OSError, RuntimeError) as error:
        raise HubUnreachableError(f"{spec.name!r} could not be downloaded: {_one_line(error)}") from None
    except (ValueError, KeyError, AssertionError) as error:
        splits = ", ".join(builder.info.splits or {})
        raise DataError(f"{spec.name}: there is no split {split!r}; it has {splits}: {_one_line(error)}") from None
    return HubTable(dataset, f"{builder.hash}:{builder.config_id}:{split}")


def hub_layout(spec: DatasetSpec) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """(columns, splits) that the hub announces, without downloading the data; None where it announces none.

    Raises HubUnreachableError, UnknownDatasetError, or DataError for an unknown configuration.
    """
    info = _builder(spec).info
    return (tuple(info.features) if info.features else None), (tuple(info.splits) if info.splits else None)


def _builder(spec: DatasetSpec) -> Any:
    from datasets import load_dataset_builder
    from datasets.exceptions import DatasetNotFoundError

    try:
        return load_dataset_builder(spec.name, spec.config_name, revision=spec.revision)
    except DatasetNotFoundError as error:
        raise UnknownDatasetError(f"{spec.name!r}: {_one_line(error)}") from None
    except ValueError as error:
        raise DataError(f"{spec.name}: {_one_line(error)}") from None
    except (OSError, RuntimeError) as error:
        raise HubUnreachableError(f"the hub cannot be asked for {spec.name!r}: {_one_line(error)}") from None


def _one_line(error: Exception) -> str:
    return shortened(error) or type(error).__name__
