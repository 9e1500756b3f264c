"""Image report of an SAE: the top images of its latents, and heat maps of a few test images.

Each dataset split has a folder with top_images.csv, top_images.png, heat_maps.png and top_images.json, which records
the inputs and the latents that are active in no image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from saefari.errors import StoreError
from saefari.report.build_record import current_record, report_fingerprint, write_record
from saefari.report.images.contact_sheet import SheetRow, Tile, draw_sheet, pixels_of, short_caption
from saefari.report.images.heat_maps import draw_heat_maps
from saefari.report.images.latent_choice import ChosenLatent, Result, choose_latents, results_below
from saefari.report.images.running_top_k import Peak, TopImages
from saefari.report.images.top_images import find_top_images
from saefari.report.images.top_images_table import COLUMNS, SplitRows, top_image_rows
from saefari.report.results.summary import Row, write_csv
from saefari.store import Manifest, cell_box, read_views
from saefari.store.files import read_json
from saefari.store.layout import SAMPLES_RECORD, SPLIT_RECORD

TOP_IMAGES = 9
MOST_LATENTS = 24
_RECORD = "top_images.json"
_FILES = ("top_images.csv", "top_images.png", "heat_maps.png")
_TILE = 1.15
_LONGEST = 18


@dataclass(frozen=True)
class ImageReport:
    """The image report of one SAE on one dataset.

    title: model, layer, SAE and dataset; the split's name is appended. features: folder of its codes below the
    samples, such as 'layer_3/3k'. splits: (samples, output folder) of each split; the first has the training rows.
    results: folder of the results of classifiers that read these codes; it may not exist.
    """

    title: str
    features: str
    splits: tuple[tuple[Path, Path], ...]
    results: Path


def write_image_report(report: ImageReport) -> None:
    """Write the report of each split, unless it was made from the same codes and results.

    Raises StoreError if codes or samples cannot be read or do not belong together, or a file cannot be written.
    """
    results = results_below(report.results)
    inputs = _inputs(report, results)
    if all(current_record(out / _RECORD, inputs) for _, out in report.splits):
        return
    chosen: list[ChosenLatent] | None = None
    for samples, out in report.splits:
        split = SplitRows.read(samples)
        top = find_top_images(samples / report.features, split.training, TOP_IMAGES)
        if chosen is None:  # the first split has the training rows
            chosen = choose_latents(results, top.activity, MOST_LATENTS)
        title = f"{report.title}, {samples.name}"
        (out / _RECORD).unlink(missing_ok=True)  # it vouches for all files, so it is written last
        _write_split(title, split, out, top, chosen)
        draw_heat_maps(out / "heat_maps.png", title, split, samples / report.features)
        files = [out / name for name in _FILES if (out / name).exists()]
        write_record(out / _RECORD, inputs, files, **_record(top, chosen))


def _write_split(title: str, split: SplitRows, out: Path, top: TopImages, chosen: Sequence[ChosenLatent]) -> None:
    """Write the table and the contact sheet of one split."""
    peaks = {one.latent: top.of(one.latent) for one in chosen}
    why = {one.latent: one.why for one in chosen}
    rows = top_image_rows(peaks, split, why)
    write_csv(out / "top_images.csv", COLUMNS, rows)
    path = out / "top_images.png"
    if not rows:
        path.unlink(missing_ok=True)
        return
    rows_of: dict[int, list[Row]] = {}
    for row in rows:
        rows_of.setdefault(row["latent"], []).append(row)
    tiles = _tiles(split, rows)
    drawn = [
        SheetRow(f"latent {latent}", _row_lines(why[latent], peaks[latent]), [tiles[latent, r["rank"]] for r in own])
        for latent, own in rows_of.items()
    ]
    silent = [str(latent) for latent, found in peaks.items() if not found]
    notes = ["The images with the largest activation of each latent; the patch is outlined. Below: activation, part."]
    if silent:
        notes.append(f"Not drawn (active in none of these {top.n_images:,} images): latents {', '.join(silent)}.")
    draw_sheet(path, f"Top images: {title}", notes, drawn, _TILE)


def _tiles(split: SplitRows, rows: Sequence[Row]) -> dict[tuple[int, int], Tile]:
    """Return (latent, rank) -> its image; each image is read and decoded once."""
    numbers = sorted({row["row"] for row in rows})
    views = {view.row: (view, pixels_of(view)) for view in read_views(split.folder, numbers) if view}
    tiles = {}
    for row in rows:
        view, pixels = views[row["row"]]
        box = cell_box(row["patch"], view.grid) if row["patch"] >= 0 else None
        label, activation = short_caption(row["label"] or "no label", _LONGEST), float(row["activation"])
        tiles[row["latent"], row["rank"]] = Tile(pixels, [label, f"{activation:.3g} · {row['part']}"], box)
    return tiles


def _row_lines(why: str, peaks: Sequence[Peak]) -> list[str]:
    """Lines beside a latent's images: the reason for its choice, and whether it is active outside patches only."""
    source, _, detail = why.partition(": ")
    outside = ["only in class token", "or text, not in patches"] if peaks[0].patch < 0 else []
    return [source, short_caption(detail, 30), *outside]


def _record(top: TopImages, chosen: Sequence[ChosenLatent]) -> Row:
    """Further content of top_images.json; silent: chosen latents that are active in no image."""
    return {
        "images_per_latent": TOP_IMAGES,
        "n_images": top.n_images,
        "d_sae": top.d_sae,
        "n_silent": top.n_silent,
        "silent": [one.latent for one in chosen if not top.of(one.latent)],
    }


def _inputs(report: ImageReport, results: Sequence[Result]) -> str:
    """Fingerprint of everything that is read."""
    read: list[object] = [report.title, [result.get("fingerprint") for result in results]]
    for samples, _ in report.splits:
        manifest = Manifest.load(samples / report.features)
        if manifest is None:
            raise StoreError(f"{samples / report.features} has no codes: run the extraction again")
        read += [(read_json(samples / name) or {}).get("sha256") for name in (SAMPLES_RECORD, SPLIT_RECORD)]
        read.append([shard.sha256 for shard in manifest.shards])
    return report_fingerprint(read)
