"""Endings of data file names."""

from __future__ import annotations

COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
"""File ending -> pyarrow's name of the compression."""
_TEXTS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
_ENDINGS = (".parquet", *(text + compression for text in _TEXTS for compression in ("", *COMPRESSIONS)))
ENDINGS_HELP = f"{', '.join(_TEXTS)}, optionally followed by {', '.join(COMPRESSIONS)}, or .parquet"
"""Description of the endings, for messages."""


def file_ending(name: str) -> str | None:
    """Return the ending of a data file, such as '.csv.gz'; None for other files."""
    return next((ending for ending in _ENDINGS if name.lower().endswith(ending)), None)


def without_ending(name: str) -> str:
    """Remove the ending of a data file name; other names are unchanged."""
    return name[: len(name) - len(file_ending(name) or "")]
