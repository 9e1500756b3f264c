"""One token of a sample."""

from __future__ import annotations

from app.shared.data.images.positions import position_name
from app.shared.data.samples.rows import Sample


def token_text(sample: Sample, position: int) -> str:
    """What it is called: its characters without white space around them, or a patch's place in the image.

    "" where a text's token has no characters of its own, as special tokens have.
    """
    start, stop = sample.spans[position].tolist()
    return position_name(sample.text, (start, stop), sample.picture, position)
