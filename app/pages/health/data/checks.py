"""Checks that read whole files, and so are made only when asked for: one shard or one result at a time."""

from __future__ import annotations

from pathlib import Path

from app.shared.data.codes import CodeSet
from app.shared.data.results import read_record
from saefari.errors import StoreError
from saefari.store.manifest import is_intact


def verify_shard(codes: CodeSet, name: str) -> str:
    """Hash a shard and compare it with its record: `as recorded`, `gone`, `not as recorded` or `not recorded`."""
    record = next((shard for shard in codes.manifest.shards if shard.name == name), None)
    if record is None:
        return "not recorded any more"
    if not (codes.folder / name).exists():
        return "gone"
    return "as recorded" if is_intact(codes.folder, record) else "not as recorded"


def check_result(folder: Path) -> str:
    """Read a result wholly: "" when its record is ours and each classifier's estimator is there, else what is wrong."""
    try:
        record = read_record(folder)
        lost = [name for name in record["classifiers"] if not (folder / f"{name}.skops").exists()]
    except StoreError as error:
        return str(error)
    except TypeError as error:
        return f"is not what SAEfari writes ({error})"
    return f"the estimators of these classifiers are not there: {', '.join(lost)}" if lost else ""
