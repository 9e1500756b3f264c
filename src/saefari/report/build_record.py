"""What a report's files were made of, kept beside them, so that they are made again only when that changed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from saefari.errors import StoreError
from saefari.fingerprint import code_digest, file_hashes, fingerprint
from saefari.provenance import library_versions
from saefari.store import write_json
from saefari.store.files import read_json


def made_of(*content: object) -> str:
    """Fingerprint of what a report is made of: JSON-able content, the code that reads and draws it, and libraries."""
    here = Path(__file__).parent
    code = [code_digest(folder) for folder in (here, here.parent, here.parent / "store")]
    return fingerprint([code, library_versions("matplotlib", "numpy", "pillow"), *content])


def standing(record: Path, inputs: str) -> dict[str, Any] | None:
    """What `write_record` wrote, if it was of these inputs and every file that it names is as it was; else None."""
    try:
        found = read_json(record)
        if not isinstance(found, dict) or found["inputs"] != inputs:
            return None
        files: dict[str, str] = found["files"]
        hashes = file_hashes([record.parent / name for name in files])
    except (StoreError, OSError, KeyError, TypeError, AttributeError):
        return None
    return found if hashes == list(files.values()) else None


def write_record(record: Path, inputs: str, files: Iterable[Path], **more: object) -> None:
    """Keep what a report was made of, and the digests of its files, which lie beside the record or below it.

    more: what else its reader wants to know, JSON-able.
    """
    written = sorted(files)
    names = [file.relative_to(record.parent).as_posix() for file in written]
    digests = dict(zip(names, file_hashes(written), strict=True))
    write_json(record, {"inputs": inputs, "files": digests, **more})
