"""SAE quality: measurements, densities and their figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.pages.saes.parts.comparison_figures import pareto_figure
from app.shared.data.defaults import default_sae
from app.shared.data.latents.usage import results_of
from app.shared.data.sae_quality import (
    HELD_OUT,
    Density,
    architecture,
    densities,
    main_measurement,
    measurements,
    n_latents,
    origin,
    quality_rows,
    settings_rows,
    warnings_of,
)
from app.shared.data.saes import Sae
from app.shared.data.tree import OutputTree
from app.shared.parts.sae_figures import density_histogram, training_figure
from saefari.store import Manifest, codes_arrays, training_curves, write_json, write_shard
from tests.app.small_results import summary_row, write_result

STATS = {"fvu": 0.2, "explained_variance": 0.8, "l0": 2.0, "dead_fraction": 0.25, "n_positions": 8}


def write_codes(output: Path, dataset: str, counts: list[list[int]], **facts: Any) -> Path:
    """Codes of width 3k; each shard has counts of 4 latents over 4 positions."""
    folder = output / "activations" / "m" / dataset / "layer_3" / "3k"
    folder.mkdir(parents=True)
    manifest = Manifest("codes", {}, len(counts), {"d_sae": 4, "architecture": "jumprelu", **facts})
    for i, active in enumerate(counts):
        arrays = codes_arrays(np.array([0, 1]), np.array([0]), np.array([1.0]), np.array([0, 1]), 4)
        arrays |= {"stat_counts": np.array(active), "stat_n_positions": np.array(4)}
        manifest.add(write_shard(folder, i, (i, i + 1), arrays))
    manifest.stats = STATS
    manifest.warnings = ["looks like the wrong hook"]
    manifest.save(folder)
    return folder


def write_trained(output: Path, **more: Any) -> Path:
    folder = output / "saes" / "m" / "layer_3" / "3k"
    settings = {"architecture": "batchtopk", "d_sae": 4, "model": {"name": "m"}}
    write_json(folder / "quality.json", {"settings": settings, **STATS, "fvu": 0.1, **more})
    np.savez(folder / "density.npz", counts=np.array([5, 0, 1, 10]), n_positions=10)
    return folder


def only_sae(output: Path) -> Sae:
    [sae] = OutputTree(output).index().saes.values()
    return sae


def test_a_trained_sae_has_its_held_out_figures_first(tmp_path: Path) -> None:
    write_trained(tmp_path)
    write_codes(tmp_path, "d/train", [[4, 0, 0, 0]])
    sae = only_sae(tmp_path)
    assert [(one.dataset, one.fvu) for one in measurements(sae)] == [(HELD_OUT, 0.1), ("d/train", 0.2)]
    assert (origin(sae), architecture(sae), n_latents(sae)) == ("trained here", "batchtopk", 4)
    assert warnings_of(sae) == ["d/train: looks like the wrong hook"]
    assert {"part": "settings", "setting": "model.name", "value": "m"} in settings_rows(sae)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"release": "gemma-scope", "random": False}, "released"),
        ({"release": "r", "random": True}, "random control"),
        ({}, "from a folder"),
    ],
)
def test_origin_of_an_sae(tmp_path: Path, facts: dict[str, Any], expected: str) -> None:
    write_codes(tmp_path, "d/train", [[4, 0, 0, 0]], **facts)
    assert origin(only_sae(tmp_path)) == expected


def test_densities_add_up_over_shards_and_change_with_them(tmp_path: Path) -> None:
    write_trained(tmp_path)
    folder = write_codes(tmp_path, "d/train", [[4, 0, 1, 0], [3, 1, 0, 0]])
    found, problems = densities(only_sae(tmp_path))
    assert problems == []
    assert [(one.dataset, one.active.tolist(), one.n_positions) for one in found] == [
        (HELD_OUT, [5, 0, 1, 10], 10),
        ("d/train", [7, 1, 1, 0], 8),
    ]
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    write_codes(tmp_path, "d/train", [[0, 0, 0, 2]])
    assert densities(only_sae(tmp_path))[0][1].active.tolist() == [0, 0, 0, 2]


def test_unreadable_densities_are_reported_and_the_others_shown(tmp_path: Path) -> None:
    (write_trained(tmp_path) / "density.npz").write_text("nonsense")
    write_codes(tmp_path, "a/train", [[4, 0, 0, 0]])
    (write_codes(tmp_path, "b/train", [[4, 0, 0, 0]]) / "shard-00000.npz").write_text("nonsense")
    found, problems = densities(only_sae(tmp_path))
    assert [one.dataset for one in found] == ["a/train"]
    assert len(problems) == 2


def test_invalid_measurements_are_ignored(tmp_path: Path) -> None:
    write_json(tmp_path / "saes/m/layer_3/3k/quality.json", {"fvu": "low", "l0": True, "settings": [], "curves": 3})
    sae = only_sae(tmp_path)
    assert [(one.fvu, one.l0) for one in measurements(sae)] == [(None, None)]
    assert training_curves(sae.quality) is None
    assert quality_rows([sae])[0]["d_sae"] is None


def test_training_curves_show_where_they_fit(tmp_path: Path) -> None:
    write_trained(tmp_path, curves={"positions": [1, 2], "fvu": [0.9, 0.5], "l0": [3.0], "dead": [0.0, 0.1]})
    curves = training_curves(only_sae(tmp_path).quality)
    assert curves is not None
    assert [trace.name for trace in training_figure(curves).data] == ["FVU", "dead fraction"]


def test_measurements_of_training_are_shown(tmp_path: Path) -> None:
    more = {"mse": 0.01, "l1": 3.0, "dense_fraction": 0.5, "cosine": 0.9}
    nested = {"ultra_low_density": {"share": 0.25, "gap": [-4.3, -4.0]}, "cross_entropy": {"recovered": 0.97}}
    write_trained(tmp_path, **more, **nested)
    sae = only_sae(tmp_path)
    one = main_measurement(sae)
    assert one is not None
    assert (one.mse, one.l1, one.dense_fraction, one.cosine) == (0.01, 3.0, 0.5, 0.9)
    assert (one.ultra_low_density, one.loss_recovered) == (0.25, 0.97)
    [density] = densities(sae)[0]
    [gap] = density_histogram([density]).layout.shapes
    assert (gap.x0, gap.x1) == (-4.3, -4.0)


def test_the_histogram_counts_every_active_latent() -> None:
    figure = density_histogram([Density("d<b>", np.array([0, 1, 500, 1000]), 1000)])
    [line] = figure.data
    assert sum(line.y) == 3
    assert line.y[0] == 1
    assert line.y[-1] == 1
    assert line.name == "d&lt;b&gt; (1 never active)"


def test_an_sae_in_training_is_not_listed(tmp_path: Path) -> None:
    write_trained(tmp_path)
    write_json(tmp_path / "saes/m/layer_3/.4k.partial/quality.json", STATS)
    write_json(tmp_path / "saes/m/.checkpoint-1/a/quality.json", STATS)
    index = OutputTree(tmp_path).index()
    assert ([sae.width for sae in index.saes.values()], index.problems) == (["3k"], [])


def quality_row(sae: str, l0: float | None, fvu: float | None, **changes: Any) -> dict[str, Any]:
    row = {"sae": sae, "title": f"m · {sae}", "architecture": "topk", "d_sae": 512, "l0": l0, "fvu": fvu}
    return row | changes


def test_the_pareto_figure_draws_the_front_and_marks_the_selected_sae() -> None:
    rows = [
        quality_row("dense", 64.0, 0.1),
        quality_row("sparse", 8.0, 0.3, architecture="<b>", d_sae=2048),
        quality_row("beaten", 64.0, 0.3),
        quality_row("unmeasured", 8.0, None),
        quality_row("dead", 0.0, 1.0),
    ]
    figure = pareto_figure(rows, "beaten", {"measured": "here"})
    front, other, topk, ring = figure.data
    assert (tuple(front.x), tuple(front.y)) == ((8.0, 64.0), (0.3, 0.1))
    assert (other.name, tuple(other.x)) == ("&lt;b&gt;", (8.0,))
    assert (topk.name, tuple(topk.x), tuple(ring.y)) == ("topk", (64.0, 64.0), (0.3,))
    assert other.marker.size[0] > topk.marker.size[0]
    assert topk.customdata[0] == "/saes?sae=dense&measured=here"
    assert figure.layout.xaxis.type == "log"


def test_results_belong_to_the_sae_of_their_folder(tmp_path: Path) -> None:
    write_codes(tmp_path, "d/train", [[4, 0, 0, 0]])
    for model, layer in (("m", 3), ("m", 4), ("m2", 3)):
        write_result(tmp_path, f"{model}/d/train/layer_{layer}/3k/sum", summary_row(model=model, layer=layer))
    index = OutputTree(tmp_path).index()
    [sae] = index.saes.values()
    assert results_of(sae, index)["folder"].tolist() == ["m/d/train/layer_3/3k/sum"]
    assert default_sae(index) == sae
