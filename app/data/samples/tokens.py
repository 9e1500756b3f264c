"""One token of a sample."""

from __future__ import annotations

from app.data.samples.rows import Sample


def token_text(sample: Sample, position: int) -> str:
    """Its characters without white space around them; "" where it has none of its own, as special tokens have."""
    start, stop = sample.spans[position].tolist()
    return (sample.text or "")[start:stop].strip()
