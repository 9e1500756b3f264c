"""Datasets of the Hugging Face hub, through `datasets`: downloaded once, then read from disk."""

from __future__ import annotations

from typing import Any

from saefari.config import DatasetSpec
from saefari.data.arrow import schema_tree
from saefari.data.columns import column_names
from saefari.data.datasets_table import DatasetsTable, one_line
from saefari.errors import PATH_LENGTH, DataError, shown


class HubUnreachableError(DataError):
    """The hub, or the dataset on it, could not be reached, nor is it in the local cache."""


class UnknownDatasetError(DataError):
    """The hub answered that it has no such dataset, or none that this user may read."""


def open_hub(spec: DatasetSpec, split: str) -> DatasetsTable:
    """Download (or find in the cache) one split of a hub dataset; it may be a slice such as `train[:100]`.

    Raises HubUnreachableError, UnknownDatasetError, or DataError for an unknown configuration or split.
    """
    builder = _builder(spec)
    try:
        builder.download_and_prepare()
        dataset = builder.as_dataset(split=split)
    except (OSError, RuntimeError) as error:
        raise HubUnreachableError(
            f"{shown(spec.name, PATH_LENGTH)} could not be downloaded: {one_line(error)}"
        ) from None
    except (ValueError, KeyError, AssertionError) as error:
        splits = ", ".join(builder.info.splits or {})
        raise DataError(f"{spec.name}: there is no split {shown(split)}; it has {splits}: {one_line(error)}") from None
    # The builder's hash is the commit, for most datasets.
    return DatasetsTable(dataset, lambda: f"{builder.hash}:{builder.config_id}:{split}")


def hub_layout(spec: DatasetSpec) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """(columns, splits) that the hub announces, without downloading the data; None where it announces none.

    Raises HubUnreachableError, UnknownDatasetError, or DataError for an unknown configuration.
    """
    info = _builder(spec).info
    columns = tuple(column_names(schema_tree(info.features.arrow_schema))) if info.features else None
    return columns, (tuple(info.splits) if info.splits else None)


def _builder(spec: DatasetSpec) -> Any:
    from datasets import load_dataset_builder
    from datasets.exceptions import DatasetNotFoundError

    try:
        return load_dataset_builder(spec.name, spec.config_name, revision=spec.revision)
    except DatasetNotFoundError as error:
        raise UnknownDatasetError(f"{shown(spec.name, PATH_LENGTH)}: {one_line(error)}") from None
    except ValueError as error:
        raise DataError(f"{spec.name}: {one_line(error)}") from None
    except (OSError, RuntimeError) as error:
        raise HubUnreachableError(
            f"the hub cannot be asked for {shown(spec.name, PATH_LENGTH)}: {one_line(error)}"
        ) from None
