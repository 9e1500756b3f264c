"""The report on trained SAEs: tables, figures and text."""

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


def test_no_report_without_trained_saes(tmp_path: Path) -> None:
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


def test_the_best_is_chosen_by_cross_validation_not_by_the_test_score(tmp_path: Path) -> None:
    for name in ("sound", "lucky"):
        write_sae(tmp_path, name)
    write_score(tmp_path, "sound", 0.60, 0.55)
    write_score(tmp_path, "sound", 0.50, 0.87, setting="max")
    write_score(tmp_path, "lucky", 0.55, 0.99)
    write_summary_of(tmp_path)
    printed = report(tmp_path)
    assert "news/train: sound (layer 3) classifies best.\n" in printed
    assert "CV macro-F1 0.600, test macro-F1 0.550 (95% interval 0.530-0.570)" in printed
    assert "0.870" not in printed
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
    assert "within one standard error (0.017) is sparse (layer 3).\n  L0 16.0" in report(tmp_path)
    write_score(tmp_path, "wide", 0.6, folds=[0.6, 0.6, 0.6])
    assert "No sparser SAE is within one standard error (0.000)" in report(tmp_path)


def test_baselines_of_the_same_model_are_listed(tmp_path: Path) -> None:
    write_sae(tmp_path, "a")
    write_score(tmp_path, "a", 0.6)
    write_score(tmp_path, "hidden", 0.7, 0.71, source="hidden")
    for other in ("another", "zz"):  # before and after it in the table
        write_score(tmp_path, "hidden", 0.8, 0.81, source="hidden", model=other)
    write_score(tmp_path, "hidden", 0.9, 0.91, source="hidden", dataset="reviews")
    write_score(tmp_path, "a-random", 0.3, 0.31, source="random_sae")
    write_score(tmp_path, "tfidf", 0.65, 0.66, source="tfidf", layer=None)
    write_summary_of(tmp_path)
    line = next(line for line in report(tmp_path).splitlines() if "Baselines" in line)
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
    assert "No classifier was trained on these SAEs yet" in report(tmp_path)
    assert rows_of(tmp_path, "sae_scores.csv") == []


def test_without_scores_the_report_says_how_to_get_them(tmp_path: Path) -> None:
    write_sae(tmp_path, "dense", 64.0, 0.1)
    write_sae(tmp_path, "sparse", 8.0, 0.3)
    printed = report(tmp_path)
    assert printed.index("sparse") < printed.index("dense")
    assert "python run_experiments.py" in printed
    assert sorted(path.name for path in (tmp_path / "reports").glob("*.png")) == [
        "saes_curves.png",
        "saes_density.png",
        "saes_pareto.png",
    ]


def test_a_damaged_summary_is_treated_as_missing(tmp_path: Path) -> None:
    write_sae(tmp_path, "a")
    Layout.below(tmp_path).classifications.mkdir()
    Layout.below(tmp_path).summary.write_text("nonsense\n1\n")
    assert "No classifier was trained" in report(tmp_path)


@pytest.mark.parametrize("damage", ["quality", "density"])
def test_damaged_files_are_left_out(tmp_path: Path, damage: str) -> None:
    write_sae(tmp_path, "whole")
    broken = write_sae(tmp_path, "broken")
    name = {"quality": "quality.json", "density": "density.npz"}[damage]
    (broken / name).write_text("{nonsense")
    printed = report(tmp_path)
    assert "whole" in printed
    assert ("broken" in printed) == (damage == "density")


def test_missing_values_are_empty(tmp_path: Path) -> None:
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


def test_a_figure_without_data_is_removed(tmp_path: Path) -> None:
    write_sae(tmp_path, "a")
    write_score(tmp_path, "a", 0.6)
    write_summary_of(tmp_path)
    report(tmp_path)
    assert (tmp_path / "reports" / "saes_f1.png").exists()
    Layout.below(tmp_path).summary.unlink()
    report(tmp_path)
    assert not (tmp_path / "reports" / "saes_f1.png").exists()


def test_files_of_a_sweep_are_reproducible(tmp_path: Path) -> None:
    write_sweep(tmp_path)
    printed = report(tmp_path)
    reports = tmp_path / "reports"
    first = {path.name: path.read_bytes() for path in reports.iterdir()}
    assert sorted(first) == sorted([*FIGURES, "saes.csv", "saes.json", "sae_scores.csv"])
    assert all(content.startswith(b"\x89PNG") for name, content in first.items() if name.endswith("png"))
    assert "… and 4 more in sae_scores.csv" in printed
    assert report(tmp_path) == printed
    assert {path.name: path.read_bytes() for path in reports.iterdir()} == first
