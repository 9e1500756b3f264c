"""Sections of the page Latent."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import dash_mantine_components as dmc
import numpy as np

from app.pages.latent.parts.contexts import context_list
from app.pages.latent.parts.figures import MOST_CLASSES, activation_histogram, class_bars
from app.shared.data.codes import CodeSet
from app.shared.data.images.picture import shows_images
from app.shared.data.latents.contexts import N_DECILES, N_TOP, decile_contexts, strongest_contexts, top_tokens
from app.shared.data.latents.firing import Firing, densities, firing
from app.shared.data.latents.names import FeatureNames
from app.shared.data.latents.summary import class_association, summary
from app.shared.data.latents.usage import usage
from app.shared.data.saes import Sae
from app.shared.data.tree import Index
from app.shared.labels import full_title
from app.shared.parts.figure import graph
from app.shared.parts.grid import grid, link_column, number_column, records, text_column
from app.shared.parts.names import name_columns, name_fields
from app.shared.parts.page import figure_tile, notice, section
from app.shared.permalinks import link
from saefari.store import iter_decoder, read_decoder_row

_MOST_FIGURES = 8
_PER_DECILE = 8


def activity(codes: CodeSet, latent: int, synthesised: Any = None) -> Any:
    """Density, histogram, top tokens and strongest examples on one dataset split. Raises StoreError.

    synthesised: section shown before the strongest examples.
    """
    exact = densities(codes)
    count = int(exact.counts[latent])
    if count == 0:
        return notice(
            f"Dead: active at none of {exact.n_positions:,} positions of {codes.dataset}.",
            color="orange",
        )
    activations = firing(codes)
    values = activations.of(latent)[1]
    rank = int((exact.counts > count).sum()) + 1
    rows = int(summary(codes).rows_fired[latent])
    tiles = [
        figure_tile("density", f"{count / exact.n_positions:.4%}", f"{count:,} of {exact.n_positions:,} positions"),
        figure_tile("rank by density", f"{rank:,}", f"of {len(exact.counts):,} latents; 1 is the most active"),
        figure_tile(
            "rows in which it fires", f"{rows:,}", f"{rows / activations.n_rows:.2%} of {activations.n_rows:,} rows"
        ),
        figure_tile("largest activation", f"{values.max():.3g}" if len(values) else "–"),
    ]
    strip = dmc.SimpleGrid(tiles, cols={"base": 2, "lg": 4}, spacing="sm")
    if not len(values):
        return dmc.Stack([strip, notice(f"It does not fire {_of_rows(activations)}, from which examples are taken.")])
    where = "patch" if shows_images(codes.samples) else "token"
    histogram = graph(f"activations-{latent}", activation_histogram(values), "Histogram of activations")
    tokens = _tokens(activations, codes, latent)
    return dmc.Stack(
        [
            strip,
            dmc.SimpleGrid(
                [section("Activations", [histogram], _of_rows(activations).capitalize() + "."), tokens],
                cols={"base": 1, "lg": 2},
            ),
            synthesised,
            section(
                "Strongest examples",
                [context_list(strongest_contexts(activations, codes.samples, latent), float(values.max()))],
                f"The {N_TOP} rows with the largest activations, {_of_rows(activations)}. "
                f"The colour of a {where} shows its activation"
                + ("; the strongest is outlined." if where == "patch" else "."),
            ),
        ]
    )


def deciles(codes: CodeSet, latent: int, decile: int) -> Any:
    """Rows of one decile, or one row per decile if `decile` is 0. Raises StoreError."""
    activations = firing(codes)
    values = activations.of(latent)[1]
    n_rows = int(summary(codes).rows_fired[latent])
    if n_rows <= N_TOP:
        return dmc.Text("All rows in which it fires are shown above." if n_rows else "It does not fire in any row.")
    found = decile_contexts(activations, codes.samples, latent, _PER_DECILE if decile else 1, decile)
    names = [] if decile else [f"decile {N_DECILES - i}" for i, part in enumerate(found) for _ in part]
    return context_list([one for part in found for one in part], float(values.max()), names)


def association(sae: Sae, latent: int) -> Any:
    """Share of rows in which it fires, per class of every dataset split of the SAE's codes. Raises StoreError."""
    figures: list[Any] = []
    rows: list[dict[str, Any]] = []
    for codes in sae.code_sets:
        known = summary(codes)
        table = class_association(codes, latent)
        rows += [{"dataset": codes.dataset} | row for row in records(table)]
        if len(table) and table["fires"].any() and len(figures) < _MOST_FIGURES:
            bars = class_bars(table, known.rows_fired[latent] / known.n_rows)
            more = (
                f"The {MOST_CLASSES} classes with the highest lift of {len(table)}."
                if len(table) > MOST_CLASSES
                else ""
            )
            head = [dmc.Title(codes.dataset, order=3, size="h5"), dmc.Text(more, size="xs", c="dimmed")]
            figures.append(
                dmc.Stack(
                    [*head, graph(f"classes-{codes.id}", bars, "Share of rows in which it fires, per class")], gap=2
                )
            )
    if not rows:
        return section("Classes", [notice("The rows of this SAE's codes have no classes, or too many.")])
    columns = [
        text_column("dataset", width=220),
        text_column("class", width=200),
        number_column("rows", "rows", 0, width=100),
        number_column("fires", "fires in", 0, width=100),
        number_column("share", "share", 4, width=100),
        number_column("lift", "lift", 2, width=100),
    ]
    line = "Share of each class's rows in which it fires at least once. Lift: this share divided by that of all rows."
    if len(figures) == _MOST_FIGURES:
        line += f" At most {_MOST_FIGURES} dataset splits are drawn; the table lists all."
    bars_grid = dmc.SimpleGrid(figures, cols={"base": 1, "lg": 2 if len(figures) > 1 else 1})
    return section("Classes", [bars_grid, grid("latent-classes", columns, rows, height=280)], line)


def used_by(sae: Sae, latent: int, index: Index) -> Any:
    """Table of the probes and trees of this SAE's results that use the latent."""
    found = usage(sae, latent, index)
    line = "Recorded are a probe's 20 largest weights per class, and all splits of a tree. "
    line += f"{found.n_read:,} of {found.n_results:,} results of this SAE were read"
    line += ", those with the best cross-validation scores." if found.n_read < found.n_results else "."
    if found.table.empty:
        return section("Probes and trees", [dmc.Text("No probe or tree records this latent.")], line)
    titles = {(row.run, row.classifier): row for row in index.results.itertuples()}
    table = found.table.assign(
        result=[_result(titles.get(key)) for key in zip(found.table["run"], found.table["classifier"], strict=True)],
        href=[
            link("/run", run=run, classifier=name)
            for run, name in zip(found.table["run"], found.table["classifier"], strict=True)
        ],
    )
    columns = [
        link_column("result", "result", "href", width=420, tooltipField="result"),
        text_column("classifier", width=110),
        text_column("class", width=170),
        number_column("amount", "weight or importance", 4, width=170),
        text_column("kind", width=120),
        number_column("rank", "rank", 0, width=90),
        number_column("splits", "tree splits", 0, width=120),
    ]
    return section("Probes and trees", [grid("latent-usage", columns, records(table), height=280)], line)


def neighbours(sae: Sae, latent: int, codes: CodeSet | None) -> Any:
    """Table of the latents with the nearest decoder directions, if the SAE is in the tree. Raises StoreError."""
    title = "Nearest latents"
    if sae.folder is None:
        return section(title, [dmc.Text("Not available: the SAE's weights are not in the output tree.")])
    of_sae = FeatureNames("latent", sae, codes)
    nearest = [(of_sae.of(other), cosine) for other, cosine in nearest_latents(sae.folder, latent)]
    rows = [name_fields(name) | {"cosine": cosine} for name, cosine in nearest]
    first, *others = name_columns([name for name, _ in nearest], "latent", width=220)
    columns = [first, number_column("cosine", "decoder cosine", 3, width=150), *others]
    line = "Latents with the most similar decoder directions."
    return section(title, [grid("latent-neighbours", columns, rows, height=280)], line)


@lru_cache(maxsize=256)
def nearest_latents(folder: Path, latent: int, n: int = 10) -> tuple[tuple[int, float], ...]:
    """(latent, decoder cosine) of the n nearest other latents, nearest first. Raises StoreError without weights.

    The decoder is read in blocks, since that of a wide SAE would need too much memory.
    """
    own = read_decoder_row(folder, latent)
    own = own / max(float(np.linalg.norm(own)), 1e-12)
    norms_and_products = [(np.linalg.norm(block, axis=1), block @ own) for block in iter_decoder(folder)]
    cosines = np.concatenate([product / np.maximum(norm, 1e-12) for norm, product in norms_and_products])
    cosines[latent] = -np.inf
    order = np.argsort(-cosines, kind="stable")[: min(n, len(cosines) - 1)]
    return tuple((int(i), float(cosines[i])) for i in order)


def _tokens(activations: Firing, codes: CodeSet, latent: int) -> Any:
    rows = [vars(one) for one in top_tokens(activations, codes.samples, [latent])[latent]]
    title, where = "Top tokens", "token"
    if shows_images(codes.samples):
        title, where = "Top patches and tokens", "patch or token"
    columns = [
        text_column("text", where, flex=1),
        number_column("count", "count", 0, width=100),
        number_column("mean", "mean activation", 3, width=150),
    ]
    return section(
        title,
        [grid("latent-tokens", columns, rows, height=280)],
        "At its 100 strongest activations.",
    )


def _of_rows(activations: Firing) -> str:
    if activations.n_rows == activations.total_rows:
        return f"in all {activations.total_rows:,} rows"
    return f"in {activations.n_rows:,} of {activations.total_rows:,} rows, evenly spaced"


def _result(row: Any) -> str:
    return "result" if row is None else full_title(row)
