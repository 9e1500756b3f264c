"""Images made to activate one latent: `<latent>.png` beside the latent's file, which holds what the image reaches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saefari.errors import StoreError
from saefari.store.files import read_json


@dataclass(frozen=True)
class SynthesisedImage:
    """A synthesised image. png: the file's content. activation: of the latent, its largest in the image.

    strongest_real: its largest activation in the training images. others_mean: mean activation of the other latents
    over the image's positions.
    """

    png: bytes
    activation: float
    strongest_real: float
    others_mean: float


def synthesised_image_path(folder: Path, latent: int) -> Path:
    """Return the file of a latent's image. folder: explanations of its SAE."""
    return folder / f"{int(latent)}.png"


def read_synthesised_image(folder: Path, latent: int) -> SynthesisedImage | None:
    """Return the image of a latent with its figures; None if it has none, or if they cannot be read."""
    try:
        record: Any = read_json(folder / f"{int(latent)}.json")
        figures = [float(record["synthesis"][name]) for name in ("activation", "strongest_real", "others_mean")]
        png = synthesised_image_path(folder, latent).read_bytes()
    except (StoreError, OSError, KeyError, TypeError, ValueError):
        return None
    return SynthesisedImage(png, *figures)
