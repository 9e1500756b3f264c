"""Whole files or none: written beside their place, flushed, then renamed."""

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
    """Give a temporary name in the same folder; rename it to `path` when the block succeeds, else remove it.

    Raises StoreError, naming the path and the way out, when the disk is full or not writable.
    """
    # One name per file: what a killed run left behind is replaced. The tree's lock keeps other writers out.
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise StoreError(f"{path}: {explain_os_error(error)}; nothing half-written is counted as done") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically; NaN is refused, since it is not JSON."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    with atomic_write(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any | None:
    """The file's content; None where there is no file. Raises StoreError when it is no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read ({error}); remove it to have it made again") from None


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write a table atomically."""
    import pyarrow.parquet as pq

    with atomic_write(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def explain_os_error(error: OSError) -> str:
    """What an operating-system error means for the output tree, and the way out."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full; free some space and run the same command again"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "no permission to write here; choose another settings.base_save_dir or base_classify_dir"
    return f"cannot be written ({error.strerror or error})"
