"""heat_maps.png: where the strongest latents of a few images are active."""

from __future__ import annotations

from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from saefari.report.images.contact_sheet import SheetRow, Tile, draw_sheet, pixels_of, short_caption
from saefari.report.images.top_images_table import SplitRows
from saefari.report.saes.style import shorten
from saefari.store import CodesShard, ImageView, iter_samples, read_codes_rows, read_views

_IMAGES = 6
_LATENTS = 5
_TILE = 1.7
_NOTES = [
    "The latents with the largest activation in any patch of the image. Colour shows the activation per patch: none",
    "at 0, full at the maximum, which is given below each map.",
]


def draw_heat_maps(path: Path, title: str, split: SplitRows, codes: Path) -> None:
    """Draw a few images, one per class, each with heat maps of its strongest latents.

    Test rows are drawn; training rows if a split has no test rows. codes: folder of an SAE's codes below the split.
    Without any active latent no sheet is written and an old one is removed. Raises StoreError.
    """
    labels = _one_per_class(split)
    rows = []
    if labels:
        shard = read_codes_rows(codes, list(labels))
        for i, view in enumerate(read_views(split.folder, list(labels))):
            if view is not None and (tiles := _maps(view, shard, i)):
                part = split.part(int(np.searchsorted(split.numbers, view.row)))
                lines = [shorten(view.name), f"row {view.row}, {part}"]
                rows.append(SheetRow(short_caption(labels[view.row], 26), lines, tiles))
    if rows:
        draw_sheet(path, f"Heat maps: {title}", _NOTES, rows, _TILE)
    else:
        path.unlink(missing_ok=True)


def _maps(view: ImageView, codes: CodesShard, i: int) -> list[Tile]:
    """Return the image and its heat maps; [] if no latent is active in a patch. i: row of the codes."""
    row = codes.to_csr()[codes.offsets[i] : codes.offsets[i + 1]]
    peaks = row[view.patch >= 0].max(axis=0).toarray().ravel() if (view.patch >= 0).any() else np.zeros(codes.d_sae)
    strongest = [int(latent) for latent in np.argsort(-peaks, kind="stable")[:_LATENTS] if peaks[latent] > 0]
    if not strongest:
        return []
    pixels = pixels_of(view)
    maps = [view.heat_map(row[:, [latent]].toarray()[:, 0]) for latent in strongest]
    return [
        Tile(pixels, ["model input", f"{view.grid[0]} x {view.grid[1]} patches"]),
        *(
            Tile(pixels, [f"latent {latent}", f"maximum {peaks[latent]:.3g}"], heat=heat)
            for latent, heat in zip(strongest, maps, strict=True)
        ),
    ]


def _one_per_class(split: SplitRows) -> dict[int, str]:
    """Return dataset row -> label of the first rows with an image, spread over the classes, ordered by class."""
    for part in (1, 0):
        by_class = _first_rows(split, part)
        names = sorted(by_class)
        if len(names) > _IMAGES:
            names = [names[i] for i in np.linspace(0, len(names) - 1, _IMAGES).round().astype(int)]
        alternating = chain.from_iterable(zip_longest(*(by_class[name] for name in names)))
        chosen = set([row for row in alternating if row is not None][:_IMAGES])
        if chosen:
            return {row: name for name in names for row in by_class[name] if row in chosen}
    return {}


def _first_rows(split: SplitRows, part: int) -> dict[str, list[int]]:
    """Return label -> dataset rows of its first images in a part of the split."""
    by_label: dict[str, list[int]] = {}
    start = 0
    for table in iter_samples(split.folder, ["row", "label", "image", "pixels"]):
        parts = split.parts[start : start + len(table)]
        start += len(table)
        for row in table.filter(parts == part).to_pylist():
            rows = by_label.setdefault(row["label"] or "no label", [])
            if row["pixels"] is not None and len(rows) < _IMAGES:
                rows.append(row["row"])
    return {name: rows for name, rows in by_label.items() if rows}
