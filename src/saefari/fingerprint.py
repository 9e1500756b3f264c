"""Digests that decide whether two settings, or two files, are the same."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any


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


def file_digest(path: Path) -> str:
    """As `file_sha256`, taken once per process while the file does not change."""
    status = path.stat()
    return _hash(str(path), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=2**17)
def _hash(path: str, size: int, mtime_ns: int) -> str:
    """SHA-256 of a file's bytes; size and time of change tell one state of the file from the next."""
    return file_sha256(Path(path))
