"""Columns of Arrow data, as Parquet files and `datasets` hold them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from saefari.data.columns import Keys, Tree
from saefari.data.example import name_classes

_IMAGE = {"bytes", "path"}
"""The struct as which `datasets` stores an image: one value, not columns."""


def schema_tree(schema: pa.Schema) -> Tree:
    """The columns of a schema, and those inside their structs."""
    return {field.name: _inside(field.type) for field in schema}


def _inside(kind: pa.DataType) -> Tree:
    inside = {field.name: field.type for field in kind} if pa.types.is_struct(kind) else {}
    return {} if set(inside) == _IMAGE else {name: _inside(type_) for name, type_ in inside.items()}


def arrow_values(
    batch: pa.RecordBatch | pa.Table, columns: Sequence[Keys], schema: pa.Schema
) -> Iterator[tuple[object, ...]]:
    """Each row's values of the given columns; integer classes as the names that the schema has for them."""
    return zip(*(_values(batch, keys, _class_names(schema, keys)) for keys in columns), strict=True)


def _values(batch: pa.RecordBatch | pa.Table, keys: Keys, names: list[str] | None) -> Sequence[object]:
    column = batch.column(keys[0])
    if len(keys) > 1:
        column = pc.struct_field(column, list(keys[1:]))
    return name_classes(column.to_pylist(), names)


def _class_names(schema: pa.Schema, keys: Keys) -> list[str] | None:
    """Names of a column's integer classes, which `datasets` leaves in the schema's metadata."""
    stored = (schema.metadata or {}).get(b"huggingface")
    feature: Any = json.loads(stored).get("info", {}).get("features", {}) if stored else {}
    for key in keys:
        feature = feature.get(key) if isinstance(feature, dict) else None
    is_class = isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
    return feature["names"] if is_class else None
