"""Digests that decide whether two settings, or two files, are the same."""

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

_MOST_THREADS = 8


def fingerprint(value: Any) -> str:
    """SHA-256 (hex) of a JSON-able value; the order of keys does not matter."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def file_hashes(paths: Sequence[Path]) -> list[str]:
    """`file_sha256` of each file, in order, several at a time."""
    return map_in_threads(file_sha256, paths)


def map_in_threads(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """A function of each item, in order, computed in a thread per core; of use where it hashes, which frees the GIL."""
    shares = max(1, min(os.cpu_count() or 1, _MOST_THREADS, len(items)))
    with ThreadPoolExecutor(shares) as threads:
        parts = list(threads.map(lambda first: [function(item) for item in items[first::shares]], range(shares)))
    return [parts[place % shares][place // shares] for place in range(len(items))]


@lru_cache
def code_digest(folder: Path) -> str:
    """SHA-256 (hex) of the Python files directly in a folder: what they compute may differ when it does."""
    sources = sorted(folder.glob("*.py"))
    return fingerprint(dict(zip([source.name for source in sources], file_hashes(sources), strict=True)))


def file_digest(path: Path) -> str:
    """As `file_sha256`, taken once per process while the file does not change."""
    status = path.stat()
    return _hash(str(path), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=2**17)
def _hash(path: str, size: int, mtime_ns: int) -> str:
    """SHA-256 of a file's bytes; size and time of change tell one state of the file from the next."""
    return file_sha256(Path(path))
