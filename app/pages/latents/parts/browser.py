"""Table of all latents of an SAE, and histogram of their densities."""

from __future__ import annotations

from typing import Any

from app.pages.latents.data.table import DENSE, Explanations
from app.shared.data.codes import CodeSet
from app.shared.data.images.picture import shows_images
from app.shared.data.images.served import view_address
from app.shared.data.latents.firing import densities
from app.shared.data.latents.summary import summary
from app.shared.data.sae_quality import Density
from app.shared.data.saes import Sae
from app.shared.parts.figure import graph
from app.shared.parts.grid import number_column, server_side_grid, text_column
from app.shared.parts.images.thumbnails import ROW_HEIGHT, thumbnail_column
from app.shared.parts.names import score_and_sentence
from app.shared.parts.page import section
from app.shared.parts.sae_figures import density_histogram
from app.shared.permalinks import link

ROW_FILTERS = {
    "all": "all latents",
    "alive": "alive: active at least once",
    "dead": "dead: never active",
    "dense": f"dense: at over {DENSE:.0%} of positions",
    "explained": "with an explanation",
    "used": "used by a probe or tree",
}
_DEFAULT_SORT = "lift:desc"
_BLOCKS = {"cacheBlockSize": 200, "maxBlocksInCache": 20, "rowBuffer": 20}


def browser(sae: Sae, codes: CodeSet, explanations: Explanations, sort: str, filters: dict[str, Any]) -> Any:
    """The table, without rows. sort: `<column>:asc` or `:desc`. filters: filter model by column."""
    views = view_address(codes.samples) if shows_images(codes.samples) else ""
    columns = _columns(explanations, link("/latent", sae=sae.id, codes=codes.id) + "&latent=", views)
    name, _, direction = sort.partition(":")
    if name not in [column["field"] for column in columns] or direction not in ("asc", "desc"):
        name, _, direction = _DEFAULT_SORT.partition(":")
    for column in columns:
        if column["field"] == name:
            column["sort"] = direction
    heights = {"rowHeight": ROW_HEIGHT} if views else {}
    return server_side_grid("latents", columns, height="65vh", filterModel=filters, dashGridOptions=_BLOCKS | heights)


def density_section(codes: CodeSet) -> Any:
    """Histogram of all latents' densities. Raises StoreError if the codes cannot be read."""
    counted, known = densities(codes), summary(codes)
    rows = "all" if known.n_rows == known.total_rows else f"{known.n_rows:,} of"
    line = f"{len(counted.counts):,} latents; dead ones (never active) are not drawn. "
    line += f"Densities are exact; largest activations and classes are from {rows} {known.total_rows:,} rows."
    figure = density_histogram([Density(codes.dataset, counted.counts, counted.n_positions)], height=260)
    return section("Densities", [graph("latent-densities", figure, "Histogram of densities")], line)


def _columns(explanations: Explanations, base: str, views: str) -> list[dict[str, Any]]:
    """Columns of the table. base, views: URL prefixes of a latent's and a row's number; views is "" without images."""
    columns = [
        number_column("latent", width=110, pinned="left", cellRenderer="PageLink", cellRendererParams={"base": base}),
    ]
    if views:
        columns.append(thumbnail_column("strongest_row", "strongest in", views, width=120))
    if explanations.by_latent:
        renderer = {"cellRenderer": "FeatureName", "cellRendererParams": {"base": base}}
        columns.append(text_column("name", width=200, tooltipField="name", **renderer))
        columns += score_and_sentence()
    columns += [number_column(name, digits=3, width=150) for name in explanations.scores]
    return [
        *columns,
        text_column("top_class", "class", width=180, tooltipField="top_class"),
        number_column("lift", "lift", 2, width=100),
        number_column("density", "density", 5, width=120),
        number_column("log10_density", "log10 density", 2, width=150),
        number_column("largest", "largest activation", 3, width=170),
        number_column("rows_fired", "rows fired", 0, width=120),
        number_column("results", "results using it", 0, width=150),
    ]
