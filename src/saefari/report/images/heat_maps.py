"""Where in some images their strongest latents are active."""

from __future__ import annotations

from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from saefari.report.images.contact_sheet import SheetRow, Tile, draw_sheet, one_line, pixels_of
from saefari.report.images.top_images_table import SplitRows
from saefari.report.saes.style import cut
from saefari.store import CodesShard, ImageView, iter_samples, read_codes_rows, read_views

_IMAGES = 6
_LATENTS = 5
_TILE = 1.7
_NOTES = [
    "The latents that are strongest in some patch of the image, and in which patches they are active: from no colour",
    "at 0 to full colour at the largest activation, which stands below each map.",
]


def draw_heat_maps(path: Path, title: str, split: SplitRows, codes: Path) -> None:
    """A sheet of a few images, one per class, each with maps of its strongest latents over it.

    They are test rows; where a split has none, its training rows. codes: folder of an SAE's codes below the split.
    Where no latent is active in a patch of them there is no sheet. Raises StoreError.
    """
    labels = _one_per_class(split)
    rows = []
    if labels:
        shard = read_codes_rows(codes, list(labels))
        for i, view in enumerate(read_views(split.folder, list(labels))):
            if view is not None and (tiles := _maps(view, shard, i)):
                part = split.part(int(np.searchsorted(split.numbers, view.row)))
                said = [cut(view.name), f"row {view.row}, {part}"]
                rows.append(SheetRow(one_line(labels[view.row], 26), said, tiles))
    if rows:
        draw_sheet(path, f"Heat maps: {title}", _NOTES, rows, _TILE)
    else:
        path.unlink(missing_ok=True)


def _maps(view: ImageView, codes: CodesShard, i: int) -> list[Tile]:
    """The view and its maps; [] where no latent is active in a patch. i: which row of the codes."""
    own = codes.to_csr()[codes.offsets[i] : codes.offsets[i + 1]]
    peaks = own[view.patch >= 0].max(axis=0).toarray().ravel() if (view.patch >= 0).any() else np.zeros(codes.d_sae)
    strongest = [int(latent) for latent in np.argsort(-peaks, kind="stable")[:_LATENTS] if peaks[latent] > 0]
    if not strongest:
        return []
    pixels = pixels_of(view)
    maps = [view.heat_map(own[:, [latent]].toarray()[:, 0]) for latent in strongest]
    return [
        Tile(pixels, ["what the model sees", f"{view.grid[0]} x {view.grid[1]} patches"]),
        *(
            Tile(pixels, [f"latent {latent}", f"up to {peaks[latent]:.3g}"], heat=heat)
            for latent, heat in zip(strongest, maps, strict=True)
        ),
    ]


def _one_per_class(split: SplitRows) -> dict[int, str]:
    """Dataset row -> label of the first rows with an image, spread over the classes and in their order."""
    for part in (1, 0):
        by_class = _first_rows(split, part)
        names = sorted(by_class)
        if len(names) > _IMAGES:
            names = [names[i] for i in np.linspace(0, len(names) - 1, _IMAGES).round().astype(int)]
        in_turn = chain.from_iterable(zip_longest(*(by_class[name] for name in names)))
        chosen = set([row for row in in_turn if row is not None][:_IMAGES])
        if chosen:
            return {row: name for name in names for row in by_class[name] if row in chosen}
    return {}


def _first_rows(split: SplitRows, part: int) -> dict[str, list[int]]:
    """Label -> dataset rows of its first images in a part of the split."""
    found: dict[str, list[int]] = {}
    at = 0
    for table in iter_samples(split.folder, ["row", "label", "image", "pixels"]):
        parts = split.parts[at : at + len(table)]
        at += len(table)
        wanted = table.filter(parts == part)
        for row in wanted.to_pylist():
            own = found.setdefault(row["label"] or "no label", [])
            if row["pixels"] is not None and len(own) < _IMAGES:
                own.append(row["row"])
    return {name: rows for name, rows in found.items() if rows}
