"""Record of a report's inputs and files, so that it is rebuilt only when something changed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from saefari.errors import StoreError
from saefari.fingerprint import code_digest, file_hashes, fingerprint
from saefari.provenance import library_versions
from saefari.store import write_json
from saefari.store.files import read_json


def report_fingerprint(*content: object) -> str:
    """Fingerprint of a report's inputs: JSON-able content, the code that reads and draws it, and library versions."""
    here = Path(__file__).parent
    code = [code_digest(folder) for folder in (here, here.parent, here.parent / "store")]
    return fingerprint([code, library_versions("matplotlib", "numpy", "pillow"), *content])


def current_record(record: Path, inputs: str) -> dict[str, Any] | None:
    """Return the stored record if it has these inputs and its files are unchanged; else None."""
    try:
        stored = read_json(record)
        if not isinstance(stored, dict) or stored["inputs"] != inputs:
            return None
        files: dict[str, str] = stored["files"]
        hashes = file_hashes([record.parent / name for name in files])
    except (StoreError, OSError, KeyError, TypeError, AttributeError):
        return None
    return stored if hashes == list(files.values()) else None


def write_record(record: Path, inputs: str, files: Iterable[Path], **more: object) -> None:
    """Write the inputs' fingerprint and the digests of a report's files, which must be in or below the record's folder.

    more: further content of the record, JSON-able.
    """
    written = sorted(files)
    names = [file.relative_to(record.parent).as_posix() for file in written]
    digests = dict(zip(names, file_hashes(written), strict=True))
    write_json(record, {"inputs": inputs, "files": digests, **more})
