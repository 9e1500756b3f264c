"""The report that names the SAE to use: its tables, figures and sentences."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from saefari.report.saes.report import write_sae_report
from saefari.store import Layout
from tests.report.sae_tree import MODEL, write_sae, write_score, write_summary_of, write_sweep

FIGURES = ["saes_curves.png", "saes_density.png", "saes_f1.png", "saes_pareto.png"]


def rows_of(output: Path, name: str) -> list[dict[str, str]]:
    with (output / "reports" / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def report(output: Path) -> str:
    return write_sae_report(Layout.below(output))


def test_nothing_is_said_where_no_sae_was_trained(tmp_path: Path) -> None:
    write_score(tmp_path, "3k", 0.6)
    write_summary_of(tmp_path)
    assert report(tmp_path) == ""
    assert not (tmp_path / "reports").exists()


def test_every_sae_has_a_row_with_the_options_of_its_architecture(tmp_path: Path) -> None:
    write_sae(tmp_path, "a", 16.0, 0.2, settings={"k": 16})
    write_sae(tmp_path, "b", 20.0, 0.3, architecture="jumprelu", settings={"target_l0": 20.0, "l0_coefficient": 3.0})
    write_sae(tmp_path, "c", 15.0, 0.3, architecture="standard", layer=4)
    report(tmp_path)
    a, b, c = rows_of(tmp_path, "saes.csv")
    assert (a["model"], a["layer"], a["name"], a["on_front"]) == (MODEL, "3", "a", "yes")
    assert [a[name] for name in ("k", "target_l0", "l0_coefficient", "l1_coefficient")] == ["16", "", "", ""]
    assert [b[name] for name in ("k", "target_l0", "l0_coefficient", "l1_coefficient")] == ["", "20.0", "3.0", ""]
    assert c["l1_coefficient"] == "1.0"
    assert (b["on_front"], c["on_front"]) == ("no", "yes")  # the front of another layer is another one
    assert (a["n_positions"], a["n_held_out"]) == ("100352", "32768")
    assert float(a["loss_recovered"]) == pytest.approx(5.8 / 6)
    assert float(a["ultra_low_density"]) == 0.1


def test_the_best_is_chosen_by_cross_validation_and_never_by_the_test_score(tmp_path: Path) -> None:
    for name in ("sound", "lucky"):
        write_sae(tmp_path, name)
    write_score(tmp_path, "sound", 0.60, 0.55)
    write_score(tmp_path, "sound", 0.50, 0.87, setting="max")
    write_score(tmp_path, "lucky", 0.55, 0.99)
    write_summary_of(tmp_path)
    said = report(tmp_path)
    assert "news/train: sound (layer 3) classifies best.\n" in said
    assert "CV macro-F1 0.600, on the test rows 0.550 (95% interval 0.530-0.570)" in said
    assert "0.870" not in said
    scores = rows_of(tmp_path, "sae_scores.csv")
    assert [(row["name"], row["pooling"], row["cv_macro_f1"]) for row in scores] == [
        ("sound", "sum", "0.6"),
        ("lucky", "sum", "0.55"),
    ]


def test_the_sparsest_within_one_standard_error_is_named(tmp_path: Path) -> None:
    """Folds 0.57, 0.6 and 0.63: the standard error of their mean is 0.03 / sqrt(3) = 0.0173."""
    for name, l0 in (("wide", 64.0), ("middling", 32.0), ("sparse", 16.0), ("sparsest", 8.0)):
        write_sae(tmp_path, name, l0)
    write_score(tmp_path, "wide", 0.6, folds=[0.57, 0.6, 0.63])
    write_score(tmp_path, "middling", 0.599)
    write_score(tmp_path, "sparse", 0.5828)
    write_score(tmp_path, "sparsest", 0.5826)
    write_summary_of(tmp_path)
    assert "within one standard error (0.017) of it is sparse (layer 3).\n  L0 16.0" in report(tmp_path)
    write_score(tmp_path, "wide", 0.6, folds=[0.6, 0.6, 0.6])
    assert "No sparser SAE is within one standard error (0.000)" in report(tmp_path)


def test_baselines_of_the_same_model_stand_beside_it(tmp_path: Path) -> None:
    write_sae(tmp_path, "a")
    write_score(tmp_path, "a", 0.6)
    write_score(tmp_path, "hidden", 0.7, 0.71, source="hidden")
    for other in ("another", "zz"):  # before and after it in the table
        write_score(tmp_path, "hidden", 0.8, 0.81, source="hidden", model=other)
    write_score(tmp_path, "hidden", 0.9, 0.91, source="hidden", dataset="reviews")
    write_score(tmp_path, "a-random", 0.3, 0.31, source="random_sae")
    write_score(tmp_path, "tfidf", 0.65, 0.66, source="tfidf", layer=None)
    write_summary_of(tmp_path)
    line = next(line for line in report(tmp_path).splitlines() if "To compare" in line)
    assert "hidden states 0.710 (" in line
    assert "random SAE 0.310 (" in line
    assert "TF-IDF 0.660 (" in line
    assert "0.810" not in line
    assert "0.910" not in line


def test_scores_join_on_model_layer_and_name(tmp_path: Path) -> None:
    write_sae(tmp_path, "a")
    write_score(tmp_path, "a", 0.9, layer=4)
    write_score(tmp_path, "a", 0.9, model="another")
    write_score(tmp_path, "released", 0.9)
    write_score(tmp_path, "a", None)
    write_summary_of(tmp_path)
    assert "which one classifies best is not known" in report(tmp_path)
    assert rows_of(tmp_path, "sae_scores.csv") == []


def test_without_scores_the_table_is_there_and_what_makes_them(tmp_path: Path) -> None:
    write_sae(tmp_path, "dense", 64.0, 0.1)
    write_sae(tmp_path, "sparse", 8.0, 0.3)
    said = report(tmp_path)
    assert said.index("sparse") < said.index("dense")
    assert "python run_experiments.py" in said
    assert sorted(path.name for path in (tmp_path / "reports").glob("*.png")) == [
        "saes_curves.png",
        "saes_density.png",
        "saes_pareto.png",
    ]


def test_a_damaged_summary_counts_as_none(tmp_path: Path) -> None:
    write_sae(tmp_path, "a")
    Layout.below(tmp_path).classifications.mkdir()
    Layout.below(tmp_path).summary.write_text("nonsense\n1\n")
    assert "not known" in report(tmp_path)


@pytest.mark.parametrize("damage", ["quality", "density"])
def test_what_is_damaged_is_left_out(tmp_path: Path, damage: str) -> None:
    write_sae(tmp_path, "whole")
    broken = write_sae(tmp_path, "broken")
    name = {"quality": "quality.json", "density": "density.npz"}[damage]
    (broken / name).write_text("{nonsense")
    said = report(tmp_path)
    assert "whole" in said
    assert ("broken" in said) == (damage == "density")


def test_missing_figures_are_empty_and_nothing_breaks(tmp_path: Path) -> None:
    nothing = dict.fromkeys(("explained_variance", "mse", "l1", "cosine", "cross_entropy", "curves"))
    folder = write_sae(tmp_path, "old", None, None, ultra_low_density=None, **nothing)
    (folder / "density.npz").unlink()
    write_sae(tmp_path, "no-front", 16.0, None)
    write_score(tmp_path, "old", 0.6)
    write_summary_of(tmp_path)
    assert "old (layer 3) classifies best" in report(tmp_path)
    old = rows_of(tmp_path, "saes.csv")[1]
    assert [old[name] for name in ("fvu", "l0", "loss_recovered", "on_front")] == ["", "", "", "no"]
    assert not (tmp_path / "reports" / "saes_pareto.png").exists()


def test_a_figure_that_would_be_empty_now_does_not_stay(tmp_path: Path) -> None:
    write_sae(tmp_path, "a")
    write_score(tmp_path, "a", 0.6)
    write_summary_of(tmp_path)
    report(tmp_path)
    assert (tmp_path / "reports" / "saes_f1.png").exists()
    Layout.below(tmp_path).summary.unlink()
    report(tmp_path)
    assert not (tmp_path / "reports" / "saes_f1.png").exists()


def test_a_sweep_gives_the_same_files_again(tmp_path: Path) -> None:
    write_sweep(tmp_path)
    said = report(tmp_path)
    reports = tmp_path / "reports"
    first = {path.name: path.read_bytes() for path in reports.iterdir()}
    assert sorted(first) == sorted([*FIGURES, "saes.csv", "saes.json", "sae_scores.csv"])
    assert all(content.startswith(b"\x89PNG") for name, content in first.items() if name.endswith("png"))
    assert "… and 4 more in sae_scores.csv" in said
    assert report(tmp_path) == said
    assert {path.name: path.read_bytes() for path in reports.iterdir()} == first
