"""Atomic writing and reading of files."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saefari.errors import StoreError

if TYPE_CHECKING:
    import pyarrow as pa


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; rename it to `path` if the block succeeds, else remove it.

    Raises StoreError with the path and the remedy if the disk is full or not writable.
    """
    # A fixed name, so that a killed run's leftover is replaced; the tree's lock excludes other writers.
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise StoreError(f"{path}: {explain_os_error(error)}; the incomplete file was discarded") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically. Raises ValueError for NaN, which is not valid JSON."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    with atomic_write(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any | None:
    """Return the content of a JSON file, or None if there is no file. Raises StoreError if it is not valid JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read ({error}); remove it to have it created again") from None


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write a table atomically."""
    import pyarrow.parquet as pq

    with atomic_write(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def explain_os_error(error: OSError) -> str:
    """Describe an operating-system error in the output tree, with the remedy."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full; free some space and run the same command again"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "no permission to write here; choose another settings.base_save_dir or base_classify_dir"
    return f"cannot be written ({error.strerror or error})"
