"""Lock that allows one run at a time on an output tree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from saefari.errors import StoreError
from saefari.store.files import explain_os_error


@contextmanager
def lock_tree(folder: Path) -> Iterator[None]:
    """Hold the lock of an output tree; the operating system releases it if the process dies.

    Raises StoreError if another run holds it or the folder is not writable.
    """
    from filelock import FileLock, Timeout

    path = folder / ".lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=0)
        lock.acquire()
    except Timeout:
        raise StoreError(
            f"another run is writing to {folder}; wait for it to end, or choose another settings.base_save_dir"
        ) from None
    except OSError as error:
        raise StoreError(f"{folder}: {explain_os_error(error)}") from None
    try:
        yield
    finally:
        lock.release()
