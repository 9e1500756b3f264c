"""Drop-down of a sample's tokens or patches, and table of the strongest latents at the selected one."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc

from app.shared.data.images.positions import position_name
from app.shared.data.latents.names import names_of_result
from app.shared.data.latents.summary import strongest_images
from app.shared.data.one_result import codes_of, sae_of
from app.shared.data.samples.rows import Sample, find_sample
from app.shared.data.samples.selection import SelectedSample
from app.shared.labels import shortened
from app.shared.parts.grid import grid, number_column
from app.shared.parts.images.thumbnails import ROW_HEIGHT, thumbnail_column
from app.shared.parts.names import name_columns, name_fields
from app.shared.parts.page import notice
from app.shared.parts.state import state_id
from saefari.errors import StoreError
from saefari.store import strongest_latents

_MOST = 10
_LETTERS = 40
_LISTED = 300
"""Options that the drop-down lists at once; typing finds the others."""


def token_choice(position: int | None) -> dmc.Select:
    """Drop-down of positions, also set by a click on a token (assets/dashboard.js). position: initial value."""
    return dmc.Select(
        id=state_id("token"),
        label="Strongest latents at",
        placeholder="click a token or patch, or choose one",
        data=[],
        value=None if position is None else str(position),
        searchable=True,
        clearable=True,
        limit=_LISTED,
        maw=460,
    )


def token_options(shown: SelectedSample, chosen: int | None) -> list[dict[str, str]]:
    """Options of the drop-down; [] without codes. chosen: always included."""
    sample = find_sample(shown.result, shown.row)
    if sample.codes is None:
        return []
    n = len(sample.spans)
    options = [{"value": str(i), "label": f"token {i}: {_named(sample, i)}"} for i in range(n)]
    return options if chosen is None or chosen < n else [*options, {"value": str(chosen), "label": f"token {chosen}"}]


def token_part(shown: SelectedSample, position: int | None) -> Any:
    """Table of the strongest latents at a valid position, counted from 0; None if none is selected."""
    sample = find_sample(shown.result, shown.row)
    if position is None or sample.codes is None:
        return None
    if position >= len(sample.spans):
        return notice(
            f"This {sample.kind} has no token {position}: it has {len(sample.spans):,} tokens, counted from 0."
        )
    latents, activations = strongest_latents(sample.codes, position)
    of_result = names_of_result(shown.index, shown.result)
    names = [of_result.of(latent) for latent in latents[:_MOST].tolist()]
    images = _images(shown, latents[:_MOST].tolist())
    rows = [
        name_fields(name) | {"image": images.get(name.number, ""), "activation": float(value)}
        for name, value in zip(names, activations, strict=False)
    ]
    first, *others = name_columns(names, "latent", width=150)
    columns = [first, number_column("activation", digits=3, width=120)]
    if images:
        columns.append(thumbnail_column("image", "strongest in", width=110))
    columns += others
    explained = any(name.explanation for name in names)
    heights = {"dashGridOptions": {"rowHeight": ROW_HEIGHT}} if images else {}
    table = grid("token-latents", columns, rows, height=600 if images else 500, **heights) if rows else None
    active = f"{len(latents):,} of {sample.codes.shape[1]:,} latents are active."
    return dmc.Stack(
        [
            dmc.Title(f"The ten strongest latents at {_named(sample, position)}", order=3, size="h5"),
            dmc.Text(f"Token {position} of this {sample.kind}, counted from 0: {active}", size="sm", c="dimmed"),
            dmc.Box(table, maw=None if explained else 420 if images else 300),
        ],
        gap=4,
    )


def token_text(sample: Sample, position: int) -> str:
    """A token's characters without surrounding white space, or a patch's place in the image (`position_name`)."""
    start, stop = sample.spans[position].tolist()
    return position_name(sample.text, (start, stop), sample.picture, position)


def _images(shown: SelectedSample, latents: list[int]) -> dict[int, str]:
    """Map latent -> URL of the image with its largest activation; {} if unknown."""
    sae = sae_of(shown.index, shown.result.row)
    codes = None if sae is None else codes_of(sae, shown.result.row)
    try:
        return {} if codes is None else strongest_images(codes, latents)
    except StoreError:
        return {}  # the table works without images; the page Health reports damaged codes


def _named(sample: Sample, position: int) -> str:
    start, stop = sample.spans[position].tolist()
    name = shortened(token_text(sample, position), _LETTERS)
    is_text = sample.picture is None or stop > start
    return f"«{name}»" if is_text else name
