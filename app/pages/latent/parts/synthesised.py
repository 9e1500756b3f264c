"""The image made by gradient ascent for a latent, with what it reaches."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
from dash import html

from app.shared.data.images.served import data_address, media_type
from app.shared.data.saes import Sae
from app.shared.parts.page import figure_tile, section
from saefari.store.synthesised_images import read_synthesised_image

_SIDE = 224


def synthesised(sae: Sae, latent: int) -> Any:
    """Section with the synthesised image and its figures; None if the latent has none. Its file is never in a URL."""
    made = read_synthesised_image(sae.explanations, latent)
    if made is None or media_type(made.png) is None:
        return None
    picture = html.Img(
        src=data_address(made.png),
        alt=f"Synthesised image of latent {latent}",
        width=_SIDE,
        style={"imageRendering": "pixelated"},
    )
    tiles = [
        figure_tile("activation", f"{made.activation:.3g}", "its largest in this image"),
        figure_tile("strongest real image", f"{made.strongest_real:.3g}", "its largest in the training images"),
        figure_tile("other latents", f"{made.others_mean:.3g}", "mean activation in this image"),
    ]
    line = "Made by gradient ascent on the pixels: it activates this latent and leaves the others low."
    return section("Synthesised image", [dmc.Group([picture, *tiles], align="flex-start", gap="md")], line)
