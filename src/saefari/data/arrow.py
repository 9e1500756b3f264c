"""Columns and values of Arrow data from Parquet files and the library `datasets`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from saefari.data.columns import Keys, Tree
from saefari.data.example import name_classes

_IMAGE = {"bytes", "path"}
"""Fields of the struct in which `datasets` stores an image; treated as one value, not as columns."""


def schema_tree(schema: pa.Schema) -> Tree:
    """Return the columns of a schema, including those nested in structs."""
    return {field.name: _type_tree(field.type) for field in schema}


def _type_tree(kind: pa.DataType) -> Tree:
    fields = {field.name: field.type for field in kind} if pa.types.is_struct(kind) else {}
    return {} if set(fields) == _IMAGE else {name: _type_tree(type_) for name, type_ in fields.items()}


def arrow_values(
    batch: pa.RecordBatch | pa.Table, columns: Sequence[Keys], schema: pa.Schema
) -> Iterator[tuple[object, ...]]:
    """Yield each row's values of the given columns; integer classes become the class names of the schema."""
    return zip(*(_values(batch, keys, _class_names(schema, keys)) for keys in columns), strict=True)


def _values(batch: pa.RecordBatch | pa.Table, keys: Keys, names: list[str] | None) -> Sequence[object]:
    column = batch.column(keys[0])
    if len(keys) > 1:
        column = pc.struct_field(column, list(keys[1:]))
    return name_classes(column.to_pylist(), names)


def _class_names(schema: pa.Schema, keys: Keys) -> list[str] | None:
    """Return the names of a column's integer classes, which `datasets` stores in the schema metadata."""
    stored = (schema.metadata or {}).get(b"huggingface")
    feature: Any = json.loads(stored).get("info", {}).get("features", {}) if stored else {}
    for key in keys:
        feature = feature.get(key) if isinstance(feature, dict) else None
    is_class = isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
    return feature["names"] if is_class else None
