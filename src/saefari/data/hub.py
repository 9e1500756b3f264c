"""Datasets of the Hugging Face hub, downloaded once by `datasets` and then read from its cache."""

from __future__ import annotations

from typing import Any

from saefari.config import DatasetSpec
from saefari.data.arrow import schema_tree
from saefari.data.columns import column_names
from saefari.data.datasets_table import DatasetsTable, one_line
from saefari.errors import PATH_LENGTH, DataError, shown


class HubUnreachableError(DataError):
    """The dataset is not in the local cache and the hub could not be reached."""


class UnknownDatasetError(DataError):
    """The hub has no such dataset, or the user may not read it."""


def open_hub(spec: DatasetSpec, split: str) -> DatasetsTable:
    """Open one split of a hub dataset, downloading it if needed; split: may be a slice such as `train[:100]`.

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
        raise DataError(
            f"{spec.name}: split {shown(split)} does not exist; splits: {splits} ({one_line(error)})"
        ) from None
    # For most datasets the builder's hash is the commit.
    return DatasetsTable(dataset, lambda: f"{builder.hash}:{builder.config_id}:{split}")


def hub_layout(spec: DatasetSpec) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """Return (columns, splits) from the hub's metadata, without downloading data; None for those it lacks.

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
            f"{shown(spec.name, PATH_LENGTH)}: the hub cannot be reached: {one_line(error)}"
        ) from None
