"""The sections of a latent's page."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
from dash import html

from app.pages.latent.parts.contexts import context_list
from app.pages.latent.parts.figures import MOST_CLASSES, activation_histogram, class_bars
from app.shared.data.codes import CodeSet
from app.shared.data.images.picture import shows_images
from app.shared.data.latents.contexts import N_DECILES, N_TOP, decile_contexts, strongest_contexts, top_tokens
from app.shared.data.latents.firing import Firing, densities, firing
from app.shared.data.latents.summary import class_association, summary
from app.shared.data.latents.usage import usage
from app.shared.data.saes import Sae
from app.shared.data.tree import Index
from app.shared.labels import full_title
from app.shared.parts.figure import graph
from app.shared.parts.grid import grid, link_column, number_column, records, text_column
from app.shared.parts.page import figure_tile, notice, section
from app.shared.permalinks import link
from saefari.store import read_explanation

_MOST_FIGURES = 8
_PER_DECILE = 8


def explanation(sae: Sae, latent: int, outside: str) -> Any:
    """What was written about the latent, with its scores. outside: a link to more, "" for none."""
    found = read_explanation(sae.explanations, latent)
    parts: list[Any] = [dmc.Text(found.text if found else "Nothing has been written about this latent yet.")]
    if found and found.scores:
        badges = [dmc.Badge(f"{name} {value:.3f}", variant="light", tt="none") for name, value in found.scores.items()]
        parts.append(dmc.Group(badges, gap="xs"))
    if outside:
        parts.append(html.A("This latent on Neuronpedia", href=outside, rel="noopener", target="_blank"))
    return section("Explanation", parts)


def activity(codes: CodeSet, latent: int) -> Any:
    """Density, histogram, texts and tokens on one dataset split. Raises StoreError."""
    exact = densities(codes)
    count = int(exact.counts[latent])
    if count == 0:
        return notice(
            f"Dead here: it was active at none of {exact.n_positions:,} positions of {codes.dataset}.",
            color="orange",
        )
    turned = firing(codes)
    values = turned.of(latent)[1]
    rank = int((exact.counts > count).sum()) + 1
    rows = int(summary(codes).rows_fired[latent])
    tiles = [
        figure_tile("density", f"{count / exact.n_positions:.4%}", f"{count:,} of {exact.n_positions:,} positions"),
        figure_tile("rank by density", f"{rank:,}", f"of {len(exact.counts):,} latents; 1 is the most active"),
        figure_tile("rows in which it fires", f"{rows:,}", f"{rows / turned.n_rows:.2%} of {turned.n_rows:,} rows"),
        figure_tile("largest activation", f"{values.max():.3g}" if len(values) else "–"),
    ]
    strip = dmc.SimpleGrid(tiles, cols={"base": 2, "lg": 4}, spacing="sm")
    if not len(values):
        return dmc.Stack([strip, notice(f"It does not fire {_of_rows(turned)}, which the examples are taken from.")])
    where = "patch" if shows_images(codes.samples) else "token"
    histogram = graph(f"activations-{latent}", activation_histogram(values), "How often it is how strong")
    tokens = _tokens(turned, codes, latent)
    return dmc.Stack(
        [
            strip,
            dmc.SimpleGrid(
                [section("Activations", [histogram], _of_rows(turned).capitalize() + "."), tokens],
                cols={"base": 1, "lg": 2},
            ),
            section(
                "Strongest examples",
                [context_list(strongest_contexts(turned, codes.samples, latent), float(values.max()))],
                f"The rows in which it gets strongest, at most {N_TOP}, {_of_rows(turned)}. "
                f"The stronger a {where}'s colour, the stronger it is there"
                + ("; the strongest is outlined." if where == "patch" else "."),
            ),
        ]
    )


def deciles(codes: CodeSet, latent: int, decile: int) -> Any:
    """Rows from strong to weak: some of one tenth, or one of each where decile is 0. Raises StoreError."""
    turned = firing(codes)
    values = turned.of(latent)[1]
    n_rows = int(summary(codes).rows_fired[latent])
    if n_rows <= N_TOP:
        return dmc.Text("All rows in which it fires are shown above." if n_rows else "It fires in none of the rows.")
    found = decile_contexts(turned, codes.samples, latent, _PER_DECILE if decile else 1, decile)
    names = [] if decile else [f"decile {N_DECILES - i}" for i, part in enumerate(found) for _ in part]
    return context_list([one for part in found for one in part], float(values.max()), names)


def association(sae: Sae, latent: int) -> Any:
    """How often it fires in each class of every dataset split that the SAE has codes for. Raises StoreError."""
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
            figures.append(dmc.Stack([*head, graph(f"classes-{codes.id}", bars, "Classes in which it fires")], gap=2))
    if not rows:
        return section("Classes", [notice("No rows with classes are known for this SAE, or they are too many.")])
    columns = [
        text_column("dataset", width=220),
        text_column("class", width=200),
        number_column("rows", "rows", 0, width=100),
        number_column("fires", "fires in", 0, width=100),
        number_column("share", "share", 4, width=100),
        number_column("lift", "lift", 2, width=100),
    ]
    line = "The share of each class's rows in which it fires at least once, and how many times that of all rows it is."
    if len(figures) == _MOST_FIGURES:
        line += f" At most {_MOST_FIGURES} dataset splits are drawn; the table has all."
    bars_grid = dmc.SimpleGrid(figures, cols={"base": 1, "lg": 2 if len(figures) > 1 else 1})
    return section("Classes", [bars_grid, grid("latent-classes", columns, rows, height=280)], line)


def used_by(sae: Sae, latent: int, index: Index) -> Any:
    """The probes and trees of this SAE's results that read the latent."""
    found = usage(sae, latent, index)
    looked = f"{found.n_read:,} of {found.n_results:,} results of this SAE were looked into"
    looked += ", those with the best cross-validation scores." if found.n_read < found.n_results else "."
    line = f"Probes record the 20 heaviest features of each class, trees all that they ask for. {looked}"
    if found.table.empty:
        return section("Probes and trees", [dmc.Text("None of them records this latent.")], line)
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
        text_column("kind", "which", width=120),
        number_column("rank", "rank", 0, width=90),
        number_column("questions", "questions of the tree", 0, width=160),
    ]
    return section("Probes and trees", [grid("latent-usage", columns, records(table), height=280)], line)


def neighbours(sae: Sae, latent: int, codes: str | None) -> Any:
    """Latents whose decoder directions are nearest, where the SAE lies in the output tree. Raises StoreError."""
    title = "Nearest latents"
    if sae.folder is None:
        return section(title, [dmc.Text("The SAE's weights are not in the output tree, so this is not known.")])
    rows = []
    for other, cosine in nearest(sae.folder, latent):
        written = read_explanation(sae.explanations, other)
        href = link("/latent", sae=sae.id, latent=other, codes=codes)
        rows.append({"latent": other, "href": href, "cosine": cosine, "explanation": written.text if written else ""})
    columns = [
        link_column("latent", "latent", "href", width=110),
        number_column("cosine", "decoder cosine", 3, width=150),
        text_column("explanation", flex=1, minWidth=200),
    ]
    line = "Those that write the most similar directions."
    return section(title, [grid("latent-neighbours", columns, rows, height=280)], line)


def _tokens(turned: Firing, codes: CodeSet, latent: int) -> Any:
    rows = [vars(one) for one in top_tokens(turned, codes.samples, [latent])[latent]]
    title, where = "Top tokens", "token"
    if shows_images(codes.samples):
        title, where = "Top patches and tokens", "patch or token"
    columns = [
        text_column("text", where, flex=1),
        number_column("count", "times", 0, width=100),
        number_column("mean", "mean activation", 3, width=150),
    ]
    return section(
        title,
        [grid("latent-tokens", columns, rows, height=280)],
        "At its 100 strongest activations.",
    )


def _of_rows(turned: Firing) -> str:
    if turned.n_rows == turned.total_rows:
        return f"in all {turned.total_rows:,} rows"
    return f"in {turned.n_rows:,} of {turned.total_rows:,} rows, evenly spread"


def _result(row: Any) -> str:
    return "result" if row is None else full_title(row)
