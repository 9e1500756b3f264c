"""Checks that read entire files and run only on request: hashes of shards, and files of results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.pages.health.data.state import place_of
from app.pages.health.parts.stepwise import Check, stepwise, stepwise_box
from app.shared.data.codes import CodeSet
from app.shared.data.results import read_record
from app.shared.data.tree import Index, tree
from app.shared.parts.grid import text_column
from app.shared.parts.page import section
from saefari.errors import StoreError
from saefari.store.manifest import is_intact

_EVERYTHING = "everything"


def hash_check_section(index: Index) -> Any:
    """Section to verify the hashes of one folder's shards or of all."""
    names = {one.id: place_of(one) for one in index.code_sets.values()}
    box = stepwise_box("hashes", "Verify hashes", "Shards of", {_EVERYTHING: "every folder", **names})
    line = "Reads every shard and compares its SHA-256 with the manifest. Stops when you leave the page."
    return section("Hashes of shards", [box], line)


def result_check_section(index: Index) -> Any:
    """Section to check the results of one dataset or of all."""
    datasets = sorted({name for name in index.results.loc[index.results["run"] != "", "dataset"] if name})
    box = stepwise_box(
        "results", "Check results", "Results of", {_EVERYTHING: "every dataset"} | {one: one for one in datasets}
    )
    line = "Reads every results.json and checks that its estimators exist. The table lists problems."
    return section("Results", [box], line)


def verify_shard(codes: CodeSet, name: str) -> str:
    """Hash a shard and compare it with its record: `as recorded`, `not as recorded`, `missing` or `not recorded`."""
    record = next((shard for shard in codes.manifest.shards if shard.name == name), None)
    if record is None:
        return "not recorded"
    if not (codes.folder / name).exists():
        return "missing"
    return "as recorded" if is_intact(codes.folder, record) else "not as recorded"


def check_result(folder: Path) -> str:
    """Read a result; return "" if its record is valid and every classifier's estimator exists, else the problem."""
    try:
        record = read_record(folder)
        missing = [name for name in record["classifiers"] if not (folder / f"{name}.skops").exists()]
    except StoreError as error:
        return str(error)
    except TypeError as error:
        return f"is not what SAEfari writes ({error})"
    return f"estimators are missing for: {', '.join(missing)}" if missing else ""


def _shards(choice: str) -> list[list[str]]:
    sets = tree().index().code_sets
    chosen = sets.values() if choice == _EVERYTHING else [sets[choice]] if choice in sets else []
    return [[one.id, shard.name] for one in chosen for shard in one.manifest.shards]


def _shard_row(item: list[str]) -> tuple[dict[str, Any], bool]:
    codes = tree().index().code_sets.get(item[0])
    found = "missing" if codes is None else verify_shard(codes, item[1])
    place = "" if codes is None else place_of(codes)
    return {"place": place, "shard": item[1], "found": found}, found == "as recorded"


def _results_of_choice(choice: str) -> list[list[str]]:
    index = tree().index()
    chosen = set(index.results.loc[index.results["dataset"] == choice, "run"])
    return [[run] for run in index.folders if choice == _EVERYTHING or run in chosen]


def _result_row(item: list[str]) -> tuple[dict[str, Any], bool]:
    folder = tree().index().folders.get(item[0])
    problem = "missing" if folder is None else check_result(folder)
    place = "" if folder is None else folder.relative_to(tree().layout.classifications).as_posix()
    return {"place": place, "problem": problem}, not problem


stepwise(
    "hashes",
    Check(
        _shards,
        _shard_row,
        [
            text_column("place", "folder", width=460, tooltipField="place"),
            text_column("shard", width=180),
            text_column("found", width=180),
        ],
        show_all=True,
    ),
)
stepwise(
    "results",
    Check(
        _results_of_choice,
        _result_row,
        [
            text_column("place", "folder", width=520, tooltipField="place"),
            text_column("problem", flex=1, minWidth=300, tooltipField="problem"),
        ],
        show_all=False,
    ),
)
