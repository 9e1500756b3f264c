"""Digests that identify settings and files."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_MAX_THREADS = 8


def fingerprint(value: Any) -> str:
    """Return the SHA-256 (hex) of a JSON-serialisable value, independent of key order."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 (hex) of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def file_hashes(paths: Sequence[Path]) -> list[str]:
    """Return `file_sha256` of each file, in order, computed in parallel."""
    return map_in_threads(file_sha256, paths)


def map_in_threads(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Apply a function to each item in parallel threads, keeping order; useful for hashing, which releases the GIL."""
    n_threads = max(1, min(os.cpu_count() or 1, _MAX_THREADS, len(items)))
    with ThreadPoolExecutor(n_threads) as threads:
        parts = list(threads.map(lambda first: [function(item) for item in items[first::n_threads]], range(n_threads)))
    return [parts[place % n_threads][place // n_threads] for place in range(len(items))]


@lru_cache
def code_digest(folder: Path) -> str:
    """Return the SHA-256 (hex) of the Python files directly in a folder, to detect code changes."""
    sources = sorted(folder.glob("*.py"))
    return fingerprint(dict(zip([source.name for source in sources], file_hashes(sources), strict=True)))


def file_digest(path: Path) -> str:
    """Return `file_sha256`, cached per process while the file is unchanged."""
    status = path.stat()
    return _hash(str(path), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=2**17)
def _hash(path: str, size: int, mtime_ns: int) -> str:
    """Return `file_sha256`; size and modification time are part of the cache key."""
    return file_sha256(Path(path))
