"""Best score per SAE by cross-validation, with the baselines of the dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.pages.saes.data.scores import baseline_scores, sae_scores, scored_datasets
from app.pages.saes.parts.comparison_figures import scores_figure
from app.shared.data.tree import Index, OutputTree
from saefari.store import write_json
from tests.app.small_results import summary_row, write_result


def write_sae(output: Path, name: str, l0: float | None = 16.0, layer: int = 3) -> None:
    settings = {"architecture": "topk", "d_sae": 512}
    record = {"settings": settings, "l0": l0, "fvu": 0.2, "n_positions": 100}
    write_json(output / f"saes/m/layer_{layer}/{name}/quality.json", record)


def write_score(output: Path, name: str, cv: float | None, setting: str = "sum", **changes: Any) -> None:
    row = summary_row(width=name, cv_macro_f1=cv, **changes)
    write_result(output, f"m/{row['dataset']}/train/layer_{row['layer']}/{name}/{setting}", row)


@pytest.fixture
def index(tmp_path: Path) -> Index:
    for name, l0 in (("a", 64.0), ("b", 16.0), ("unmeasured", None)):
        write_sae(tmp_path, name, l0)
    write_score(tmp_path, "a", 0.6, macro_f1=0.55)
    write_score(tmp_path, "a", 0.5, "max", macro_f1=0.99)
    write_score(tmp_path, "b", 0.7)
    write_score(tmp_path, "b", 0.9, dataset="e")
    write_score(tmp_path, "unmeasured", 0.65)
    write_score(tmp_path, "b-random", 0.3, source="random_sae")
    write_score(tmp_path, "imported", None, dataset="f")
    write_result(tmp_path, "m/d/train/layer_3/hidden/mean", summary_row(source="hidden", width="", cv_macro_f1=0.8))
    return OutputTree(tmp_path).index()


def test_each_sae_has_the_result_that_cross_validation_chooses(index: Index) -> None:
    found = sae_scores(index, "d/train")
    assert [(one.sae.width, one.row.cv_macro_f1, one.row.macro_f1) for one in found] == [
        ("b", 0.7, 0.5),
        ("unmeasured", 0.65, 0.5),
        ("a", 0.6, 0.55),
    ]
    assert scored_datasets(index) == ["d/train", "e/train"]
    assert sae_scores(index, "nowhere") == []


def test_baselines_of_the_dataset(index: Index) -> None:
    assert sorted(baseline_scores(index, "d/train")) == [("hidden states", 0.8), ("random SAE", 0.3)]
    assert baseline_scores(index, "e/train") == []


@pytest.mark.parametrize(("against", "places"), [("l0", (16.0, 64.0)), ("fvu", (0.2, 0.2, 0.2))])
def test_the_figure_of_scores(index: Index, against: str, places: tuple[float, ...]) -> None:
    found = sae_scores(index, "d/train")
    figure = scores_figure(found, [("hidden <b>states</b>", 0.8)], against, found[0].sae.id, {"scored": "d/train"})
    marks, ring = figure.data
    assert (marks.name, tuple(marks.x)) == ("topk", places)
    assert (tuple(ring.x), tuple(ring.y)) == (places[:1], (0.7,))
    assert marks.customdata[0] == f"/saes?sae={found[0].sae.id}&scored=d%2Ftrain"
    assert figure.layout.shapes[0].y0 == 0.8
    assert "&lt;b&gt;" in figure.layout.annotations[0].text
    assert (figure.layout.xaxis.type == "log") == (against == "l0")


def test_layers_are_named_if_there_are_several(tmp_path: Path) -> None:
    for layer in (3, 4):
        write_sae(tmp_path, "a", layer=layer)
        write_score(tmp_path, "a", 0.5, layer=layer)
    figure = scores_figure(sae_scores(OutputTree(tmp_path).index(), "d/train"), [], "l0", "", {})
    assert [trace.name for trace in figure.data[:2]] == ["topk, layer 3", "topk, layer 4"]
