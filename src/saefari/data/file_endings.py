"""What the names of data files end in."""

from __future__ import annotations

COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
"""Ending of a compressed file -> pyarrow's name of the compression."""
_TEXTS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
_ENDINGS = (".parquet", *(text + compression for text in _TEXTS for compression in ("", *COMPRESSIONS)))
ENDINGS_HELP = f"{', '.join(_TEXTS)}, each also with {', '.join(COMPRESSIONS)} after it, or .parquet"
"""The endings, for messages."""


def file_ending(name: str) -> str | None:
    """The ending that says how a data file is read, such as '.csv.gz'; None = it is no data file."""
    return next((ending for ending in _ENDINGS if name.lower().endswith(ending)), None)


def without_ending(name: str) -> str:
    """A data file's name without its ending; any other name as it is."""
    return name[: len(name) - len(file_ending(name) or "")]
