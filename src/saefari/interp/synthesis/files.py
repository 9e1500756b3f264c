"""Synthesised images of latents as files, with what they reach."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from saefari.interp.latent_file import read_latent
from saefari.interp.records import Context
from saefari.store.files import atomic_write
from saefari.store.synthesised_images import synthesised_image_path

if TYPE_CHECKING:
    from torch import Tensor

    from saefari.interp.synthesis.subject import Subject

_MOST_IMAGES = 32
_MOST_CODES = 2**24
"""Maximum images of a batch, and elements of its codes [images, positions, d_sae]: 64 MB, a few times."""
_MOST_COLOUR = 3
Record = dict[str, Any]


def stored_images(folder: Path, latents: Iterable[int], inputs: str) -> dict[int, Record]:
    """Return latent -> record of its synthesised image, for those made from the same inputs."""
    found = {}
    for latent in latents:
        record = (read_latent(folder, latent) or {}).get("synthesis")
        if (
            isinstance(record, dict)
            and record.get("inputs") == inputs
            and synthesised_image_path(folder, latent).is_file()
        ):
            found[latent] = record
    return found


def write_images(
    subject: Subject, folder: Path, peaks: Mapping[int, float], inputs: str, seed: int, grey: bool = False
) -> Iterator[tuple[int, Record]]:
    """Write an image for each latent, a PNG, and yield (latent, record), in batches of bounded memory.

    peaks: latent -> its activation in the strongest real image. grey: without colour, as the real images are.
    A record holds the activation that the written image reaches, that of the strongest real image, and the mean
    activation of the other latents.
    """
    from saefari.interp.synthesis.ascent import ascend
    from saefari.interp.synthesis.objective import measure

    latents = sorted(peaks)
    size = min(_MOST_IMAGES, max(1, _MOST_CODES // (subject.n_positions * subject.d_sae)))
    for start in range(0, len(latents), size):
        batch = latents[start : start + size]
        images = ascend(subject, batch, [peaks[latent] for latent in batch], seed, grey=grey)
        reached, others = measure(subject, images / 255, batch)
        for latent, image, own, rest in zip(batch, images, reached.tolist(), others.tolist(), strict=True):
            with atomic_write(synthesised_image_path(folder, latent)) as temporary:
                temporary.write_bytes(_png(image))
            yield (
                latent,
                {"activation": own, "strongest_real": peaks[latent], "others_mean": rest, "inputs": inputs},
            )


def is_grey(contexts: Iterable[Context]) -> bool:
    """Return whether the images of contexts have no colour; lossy compression may change a channel a little."""
    for context in contexts:
        assert context.image is not None
        with Image.open(BytesIO(context.image.png)) as opened:
            pixels = np.asarray(opened.convert("RGB")).astype(int)
        if np.ptp(pixels, axis=2).max(initial=0) > _MOST_COLOUR:
            return False
    return True


def _png(image: Tensor) -> bytes:
    """Encode an image, uint8 [3, H, W]."""
    buffer = BytesIO()
    Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
