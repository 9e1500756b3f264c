"""Table, text and figures of the report on explanations, on constructed records."""

from __future__ import annotations

import csv
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from saefari.interp.records import Failure
from saefari.report.explanations.figures import draw_explanations
from saefari.report.explanations.report import write_explanation_report
from saefari.report.explanations.tables import COLUMNS, iter_explained, latent_rows
from saefari.store import Layout, write_json
from tests.report.explanations.tree import MODEL, write_explanations
from tests.report.sae_tree import write_score, write_summary_of

SCORES = {i: (0.5 + i / 20, 0.45) for i in range(8)}


def read_rows(output: Path) -> list[dict[str, str]]:
    with (Layout.below(output).reports / "explanations.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def classify(output: Path, cv: float, features: dict[str, list[tuple[int, str]]], **place: Any) -> None:
    """A linear probe on codes. features: class -> (latent, direction), most important first."""
    write_score(output, place.pop("width", "3k"), cv, **place)
    (path,) = [one for one in output.rglob("results.json") if f"{cv}" in one.read_text()]
    record = {"cross_validation": {"macro_f1": cv}, "macro_f1": 0.5}
    record["top_features"] = {
        name: [{"feature": latent, "direction": direction, "weight": 1.0} for latent, direction in of]
        for name, of in features.items()
    }
    content = json.loads(path.read_text())
    content["classifiers"]["linear"] = record
    write_json(path, content)
    write_summary_of(output)


def test_rows_of_the_table(tmp_path: Path) -> None:
    detection = {i: (0.6, None) if i < 2 else None for i in SCORES}
    write_explanations(tmp_path, {"embedding": SCORES, "detection": detection})
    write_explanation_report(Layout.below(tmp_path))
    rows = read_rows(tmp_path)
    assert tuple(rows[0]) == COLUMNS
    assert [row["scorer"] for row in rows if row["latent"] == "1"] == ["embedding", "detection"]
    assert [row["scorer"] for row in rows if row["latent"] == "5"] == ["embedding"]
    one = rows[0]
    assert [one[key] for key in COLUMNS[:8]] == [MODEL, "3", "3k", "0", "name 0", "Sentence 0.", "lexical", ""]
    assert (float(one["score"]), float(one["shuffled"]), float(one["random_sae"])) == (0.5, 0.45, 0.5125)
    assert (float(one["score_low"]), float(one["score_high"])) == pytest.approx((0.4, 0.55))
    assert (one["n_rows"], one["n_activations"], float(one["density"])) == ("12", "30", 0.001)
    assert rows[1]["shuffled"] == ""


def test_latents_without_a_score_have_a_row(tmp_path: Path) -> None:
    write_explanations(tmp_path, {"embedding": {1: None, 2: (0.8, 0.5)}})
    (sae,) = iter_explained(Layout.below(tmp_path).explanations)
    assert [(row["latent"], row.get("score")) for row in latent_rows([sae])] == [(1, None), (2, 0.8)]


def test_random_saes_and_unreadable_ones_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_explanations(tmp_path, {"embedding": SCORES})
    write_explanations(tmp_path, {"embedding": SCORES}, width="3k-random")
    write_explanations(tmp_path, {"embedding": SCORES}, layer=4)
    write_explanations(tmp_path, {"embedding": SCORES}, layer=10)
    explanations = Layout.below(tmp_path).explanations
    (explanations / MODEL / "layer_4" / "3k" / "explanations.parquet").write_bytes(b"PAR1 nothing PAR1")
    (explanations / MODEL / "layer_x" / "3k").mkdir(parents=True)
    (explanations / MODEL / "layer_x" / "3k" / "explanations.json").write_text("{}")
    with caplog.at_level(logging.WARNING, "saefari"):
        found = list(iter_explained(explanations))
    assert [(sae.layer, sae.width) for sae in found] == [(3, "3k"), (10, "3k")]
    assert "layer_4" in caplog.text


def test_text(tmp_path: Path) -> None:
    failures = [
        Failure(3, "score detection of lexical", "HTTP 500"),
        Failure(4, "explain human", "explain.file has no row for latent 4", is_possible=False),
    ]
    write_explanations(
        tmp_path, {"embedding": SCORES}, failures=failures, too_few=[(9, 1), (10, 2)], usage={"cost": 1.234}
    )
    lines = write_explanation_report(Layout.below(tmp_path)).splitlines()
    assert lines[0] == "Explanations of latents (mean scores and 95% intervals over latents):"
    assert lines[1] == (
        f"  layer 3 3k of {MODEL}: 8 latents named (lexical); 2 active in too few rows; 1 step FAILED, the first: "
        "score detection of lexical: HTTP 500; 1 step not possible, the first: explain human: explain.file has no row "
        "for latent 4"
    )
    assert lines[2].startswith("    embedding 0.675 (")
    assert ", chance 0.5; shuffled explanations 0.450 (0.450-0.450); random SAE 0.512" in lines[2]
    assert lines[3] == "    best: name 7 (7, 0.85); name 6 (6, 0.80); name 5 (5, 0.75)"
    assert lines[4] == "    worst: name 0 (0, 0.50); name 1 (1, 0.55); name 2 (2, 0.60)"
    assert lines[5] == "    cost $1.23"


def test_best_and_worst_do_not_overlap(tmp_path: Path) -> None:
    write_explanations(tmp_path, {"embedding": {i: (0.5 + i / 20, 0.4) for i in range(5)}})
    assert "best" not in write_explanation_report(Layout.below(tmp_path))


def test_named_latents_of_each_class_of_the_best_probe(tmp_path: Path) -> None:
    write_explanations(tmp_path, {"embedding": SCORES}, names={7: "n" * 80, 6: "two\nlines\x1b[31m"})
    write_explanations(tmp_path, {"embedding": SCORES}, layer=4)
    features = {
        "sports": [(7, "for"), (6, "against"), (0, "for"), (99, "for"), (5, "for")],
        "new\nline": [(6, "for")],
    }
    classify(tmp_path, 0.71, features)
    classify(tmp_path, 0.61, {"sports": [(1, "for")]}, layer=4)
    write_explanations(tmp_path, {"embedding": SCORES}, model="a--model", layer=5)
    classify(tmp_path, 0.65, {"sports": [(2, "for")]}, layer=5, model="a--model")
    text = write_explanation_report(Layout.below(tmp_path))
    assert "layer 3 3k, linear probe (CV macro-F1 0.710)" in text
    assert "layer 4 3k, linear" not in text
    assert "layer 5 3k, linear" not in text
    (line,) = [line for line in text.splitlines() if line.startswith("sports")]
    assert line.endswith(f"{'n' * 46}… (7, 0.85); name 0 (0, 0.50, below control); latent 99")
    assert "\x1b" not in text
    assert any(line.endswith("two lines[31m (6, 0.80)") and "new" in line for line in text.splitlines())


def test_classes_without_a_named_latent_have_no_table(tmp_path: Path) -> None:
    write_explanations(tmp_path, {"embedding": SCORES})
    classify(tmp_path, 0.71, {"sports": [(99, "for")]})
    assert "linear probe" not in write_explanation_report(Layout.below(tmp_path))


def test_figures(tmp_path: Path) -> None:
    write_explanations(tmp_path, {"embedding": SCORES, "detection": dict.fromkeys(SCORES, (0.5, None))})
    reports = Layout.below(tmp_path).reports
    saes = list(iter_explained(Layout.below(tmp_path).explanations))
    written = draw_explanations(reports, saes)
    assert [path.name for path in written] == ["explanations_scores.png", "explanations_density.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)
    assert draw_explanations(reports, []) == []
    assert not list(reports.glob("*.png"))


def test_an_unchanged_report_is_not_written_again_and_a_changed_one_is(tmp_path: Path) -> None:
    write_explanations(tmp_path, {"embedding": SCORES})
    layout = Layout.below(tmp_path)
    text = write_explanation_report(layout)
    stamps = {path: path.stat().st_mtime_ns for path in layout.reports.iterdir()}
    assert write_explanation_report(layout) == text
    assert {path: path.stat().st_mtime_ns for path in layout.reports.iterdir()} == stamps
    write_explanations(tmp_path, {"embedding": dict.fromkeys(SCORES, (0.9, 0.45))})
    assert write_explanation_report(layout) != text
    (layout.reports / "explanations.csv").unlink()
    write_explanation_report(layout)
    assert {row["score"] for row in read_rows(tmp_path)} == {"0.9"}


def test_without_explanations_there_is_no_report(tmp_path: Path) -> None:
    assert write_explanation_report(Layout.below(tmp_path)) == ""
    assert not list(tmp_path.rglob("explanations.csv"))
