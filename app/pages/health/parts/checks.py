"""The two checks that are made only when asked for: hashes of shards, and the files of results."""

from __future__ import annotations

from typing import Any

from app.pages.health.data.checks import check_result, verify_shard
from app.pages.health.data.state import place_of
from app.pages.health.parts.stepwise import Check, stepwise, stepwise_box
from app.shared.data.tree import Index, tree
from app.shared.parts.grid import text_column
from app.shared.parts.page import section

_EVERYTHING = "everything"


def hash_check_section(index: Index) -> Any:
    """Offers to hash the shards of one folder or of all."""
    names = {one.id: place_of(one) for one in index.code_sets.values()}
    box = stepwise_box("hashes", "Verify hashes", "Shards of", {_EVERYTHING: "every folder", **names})
    line = "Reads every shard and compares its SHA-256 with the manifest's. It ends when this page is left."
    return section("Hashes of shards", [box], line)


def result_check_section(index: Index) -> Any:
    """Offers to read the results of one dataset or of all."""
    datasets = sorted({name for name in index.results.loc[index.results["run"] != "", "dataset"] if name})
    box = stepwise_box(
        "results", "Check every result", "Results of", {_EVERYTHING: "every dataset"} | {one: one for one in datasets}
    )
    line = "Reads every results.json and looks for its estimators. The table lists those with a problem."
    return section("Results", [box], line)


def _shards(choice: str) -> list[list[str]]:
    sets = tree().index().code_sets
    chosen = sets.values() if choice == _EVERYTHING else [sets[choice]] if choice in sets else []
    return [[one.id, shard.name] for one in chosen for shard in one.manifest.shards]


def _look_at_shard(item: list[str]) -> tuple[dict[str, Any], bool]:
    codes = tree().index().code_sets.get(item[0])
    found = "gone" if codes is None else verify_shard(codes, item[1])
    place = "" if codes is None else place_of(codes)
    return {"place": place, "shard": item[1], "found": found}, found == "as recorded"


def _results_of_choice(choice: str) -> list[list[str]]:
    index = tree().index()
    chosen = set(index.results.loc[index.results["dataset"] == choice, "run"])
    return [[run] for run in index.folders if choice == _EVERYTHING or run in chosen]


def _look_at_result(item: list[str]) -> tuple[dict[str, Any], bool]:
    folder = tree().index().folders.get(item[0])
    problem = "gone" if folder is None else check_result(folder)
    place = "" if folder is None else folder.relative_to(tree().layout.classifications).as_posix()
    return {"place": place, "problem": problem}, not problem


stepwise(
    "hashes",
    Check(
        _shards,
        _look_at_shard,
        [
            text_column("place", "folder", width=460, tooltipField="place"),
            text_column("shard", width=180),
            text_column("found", width=180),
        ],
        show_fine=True,
    ),
)
stepwise(
    "results",
    Check(
        _results_of_choice,
        _look_at_result,
        [
            text_column("place", "folder", width=520, tooltipField="place"),
            text_column("problem", flex=1, minWidth=300, tooltipField="problem"),
        ],
        show_fine=False,
    ),
)
