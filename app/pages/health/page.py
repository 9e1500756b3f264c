"""Page Health: completeness of the output tree, unreadable files, and recorded warnings."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import dash
import dash_mantine_components as dmc
from dash import Input, Output, callback

from app.pages.health.data.disk import disk_rows
from app.pages.health.data.state import (
    RecordedWarning,
    SplitState,
    manifest_rows,
    split_states,
    warnings_of_manifests,
    warnings_of_results,
    warnings_of_splits,
)
from app.pages.health.parts.checks import hash_check_section, result_check_section
from app.shared.data.tree import Index, tree
from app.shared.parts.grid import grid, link_column, number_column, text_column
from app.shared.parts.page import figure_tile, notice, page, placeholder, section
from app.shared.permalinks import link
from saefari.errors import StoreError
from saefari.store import RunRecord, read_last_run

dash.register_page(__name__, path="/health", name="Health")

_WORDS = ["manifest", "shard", "code", "hidden state", "explained variance", "held out"]
_LINE = "Completeness and readability of the output tree, and the warnings of the runs."


def layout(**_: Any) -> Any:
    """Build the page; parts that need more reading are filled by callbacks."""
    index = tree().index()
    run, problems = _last_run(index)
    if not (index.code_sets or index.folders or index.saes or problems or run):
        return page(
            "Health", _LINE, _WORDS, [notice("This output tree is empty. The page Runs explains how to fill it.")]
        )
    return page(
        "Health",
        _LINE,
        _WORDS,
        [
            _tiles(index, run, problems),
            placeholder("health-verdict", 60),
            _problems(problems),
            _run(run),
            placeholder("health-warnings"),
            _manifests(index),
            hash_check_section(index),
            result_check_section(index),
            placeholder("health-rows"),
            placeholder("health-disk"),
        ],
    )


@callback(Output("health-verdict", "children"), Output("health-rows", "children"), Input("health-verdict", "id"))
def _verify_rows(_id: str) -> Any:
    """Fill the parts that require hashing the rows' files."""
    index = tree().index()
    run, problems = _last_run(index)
    states = split_states(index, tree().layout)
    n_warnings = len(warnings_of_manifests(index.code_sets.values())) + len(warnings_of_splits(states))
    n_warnings += len(run.warnings) if run else 0
    return _verdict(_findings(index, run, problems, states), n_warnings), _rows(states)


@callback(Output("health-warnings", "children"), Input("health-warnings", "id"))
def _list_warnings(_id: str) -> Any:
    """Fill the part that requires reading one result of each source."""
    index = tree().index()
    of_codes = warnings_of_manifests(index.code_sets.values())
    of_splits = warnings_of_splits(split_states(index, tree().layout))
    return _warnings([*of_codes, *of_splits, *warnings_of_results(index)])


@callback(Output("health-disk", "children"), Input("health-disk", "id"))
def _measure_disk(_id: str) -> Any:
    """Fill the part that requires listing every folder."""
    return _disk(disk_rows(tree().index(), tree().layout))


def _last_run(index: Index) -> tuple[RunRecord | None, list[tuple[str, str]]]:
    """Record of the last run, and all unreadable files."""
    try:
        return read_last_run(tree().layout.last_run), index.problems
    except StoreError as error:
        return None, [*index.problems, ("reports/last_run.json", str(error))]


def _tiles(index: Index, run: RunRecord | None, problems: list[tuple[str, str]]) -> Any:
    states = [one.state for one in index.code_sets.values()]
    tiles = [
        ("manifests, complete", states.count("complete"), "every row is in a shard of the recorded size"),
        ("manifests, partial", states.count("partial"), "rerun the same command to continue"),
        ("manifests, damaged", states.count("damaged"), "a shard is missing or has another size"),
        ("results", len(index.folders), "settings with a results.json"),
        ("unreadable files", len(problems), "listed below"),
        ("failures of the last run", len(run.failures) if run else None, "jobs without a result"),
        ("warnings of the last run", len(run.warnings) if run else None, "listed below"),
    ]
    shown = [figure_tile(name, "–" if value is None else f"{value:,}", note) for name, value, note in tiles]
    return dmc.SimpleGrid(shown, cols={"base": 2, "sm": 4, "lg": 7}, spacing="sm")


def _findings(
    index: Index, run: RunRecord | None, problems: list[tuple[str, str]], states: list[SplitState]
) -> list[str]:
    """Problems, one line each."""
    codes = [one.state for one in index.code_sets.values()]
    altered = sum("not as recorded" in (one.rows, one.split) or one.rows == "missing" for one in states)
    counts = {
        "Partial manifests (rerun the same command to continue)": codes.count("partial"),
        "Damaged manifests (rerun the same command to write their shards again)": codes.count("damaged"),
        "Files that cannot be read or were not written by SAEfari": len(problems),
        "Failed jobs of the last run": len(run.failures) if run else 0,
        "Folders whose rows or split differ from the record": altered,
    }
    return [f"{what}: {count:,}." for what, count in counts.items() if count]


def _verdict(problems: list[str], n_warnings: int) -> Any:
    if problems:
        return notice(" ".join(problems), "Problems found", "red")
    if n_warnings:
        message = f"No file is missing or unreadable, but there are {n_warnings:,} warnings: see below."
        return notice(message, "No problems, but warnings", "yellow")
    message = (
        "Every manifest is complete, every shard has its recorded size, every file is readable, and the last run had "
        "no failures or warnings. Hashes of shards are verified only on request, below."
    )
    return notice(message, "No problems found", "green")


def _problems(problems: list[tuple[str, str]]) -> Any:
    if not problems:
        return section("Unreadable and incomplete files", [dmc.Text("None.", size="sm")])
    rows = [{"file": file, "problem": problem} for file, problem in problems]
    columns = [
        text_column("file", width=460, tooltipField="file"),
        text_column("problem", flex=1, minWidth=300, tooltipField="problem"),
    ]
    line = "Other pages ignore these files. Remove them, or run their configuration again."
    return section("Unreadable and incomplete files", [grid("problems", columns, rows, 340)], line)


def _run(run: RunRecord | None) -> Any:
    if run is None:
        return section("Last run", [dmc.Text("This tree has no report of a run.", size="sm")])
    if not run.failures and not run.warnings:
        return section("Last run", [dmc.Text("No failures or warnings.", size="sm")])
    rows = [
        {"kind": "failure", "job": one.job, "message": "; ".join(filter(None, [one.reason, one.consequence]))}
        for one in run.failures
    ]
    rows += [{"kind": "warning", "job": "", "message": warning} for warning in run.warnings]
    columns = [
        text_column("kind", width=100),
        text_column("job", width=300, tooltipField="job"),
        text_column("message", flex=1, minWidth=300, tooltipField="message"),
    ]
    return section("Last run", [grid("last-run", columns, rows, 340)])


def _warnings(found: list[RecordedWarning]) -> Any:
    line = "Warnings of codes (e.g. an SAE on the wrong hook), splits (excluded rows) and results (excluded classes)."
    if not found:
        return section("Recorded warnings", [dmc.Text("None.", size="sm")], line)
    columns = [
        text_column("where", width=420, tooltipField="where"),
        text_column("warning", flex=1, minWidth=300, tooltipField="warning"),
    ]
    rows = [asdict(one) for one in found]
    return section("Recorded warnings", [grid("warnings", columns, rows, 340)], line)


def _manifests(index: Index) -> Any:
    columns = [
        text_column("state", width=110),
        link_column("place", "folder", "href", width=420, tooltipField="place"),
        text_column("kind", width=120),
        number_column("shards", width=110),
        number_column("rows_done", "rows done", 0, width=130),
        number_column("rows", "rows", 0, width=100),
        number_column("megabytes", "MB", 1, width=90),
        number_column("outliers", "outliers", 0, width=110),
        number_column("outlier_rows", "in rows", 0, width=100),
        text_column("problem", width=260, tooltipField="problem"),
        text_column("warnings", width=260, tooltipField="warnings"),
    ]
    saes = {codes.id: sae.id for sae in index.saes.values() for codes in sae.code_sets}
    rows = [
        row | {"href": link("/saes", sae=saes[row["id"]]) if row["id"] in saes else ""}
        for row in manifest_rows(index.code_sets.values())
    ]
    line = (
        "Codes and hidden states. Shard sizes are always verified, hashes on request. Outliers are positions with a "
        "norm far above their layer's median (attention sinks); they are excluded everywhere."
    )
    return section("Manifests", [grid("manifests", columns, rows, 340)], line)


def _rows(states: list[SplitState]) -> Any:
    rows = [
        {
            "place": one.place,
            "rows": one.rows,
            "split": one.split,
            **{part: one.counts.get(part) for part in ("train", "test", "excluded")},
            "warnings": "; ".join(one.warnings),
        }
        for one in states
    ]
    columns = [
        text_column("place", "folder", width=420, tooltipField="place"),
        text_column("rows", width=140),
        text_column("split", width=140),
        number_column("train", "training rows", 0, width=130),
        number_column("test", "test rows", 0, width=110),
        number_column("excluded", "excluded rows", 0, width=130),
        text_column("warnings", width=360, tooltipField="warnings"),
    ]
    line = "samples.parquet and split.parquet are hashed and compared with their records."
    return section("Rows and splits", [grid("rows", columns, rows, 340)], line)


def _disk(rows: list[dict[str, Any]]) -> Any:
    total = sum(row["megabytes"] for row in rows)
    columns = [
        text_column("place", "folder", width=520, tooltipField="place"),
        text_column("kind", width=140),
        number_column("megabytes", "MB", 1, width=120),
    ]
    line = f"{total:,.0f} MB in total; shards count with their recorded size."
    return section("Disk space", [grid("disk", columns, rows, 340)], line)
