"""A run ends with named latents: files, controls, report and reuse."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from saefari.pipeline.commands.cli import BAD_INPUT, OK, main
from saefari.pipeline.execute.explain_jobs import used_latents
from saefari.store import iter_results, read_explanations, read_split
from tests.pipeline.explain.conftest import latent_files, record_of, run, sae_folder, write_config
from tests.pipeline.tiny import samples


def test_the_latents_that_classifiers_use_are_named_and_scored(explained: Path) -> None:
    record, files = record_of(explained), latent_files(explained)
    used: set[int] = set()
    for folder, result in iter_results(explained / "classifications"):
        if folder.parent.name == "48":
            used |= set(used_latents(result["classifiers"].values(), 6))
    assert used
    assert set(files) | {latent for latent, _ in record["too_few"]} == used
    assert record["n_explained"] == len(files)
    for latent, one in files.items():
        assert one["latent"] == latent
        assert one["name"]
        assert one["explanation"].endswith(".")
        assert one["explainer"] == "lexical"
        assert 0 <= one["scores"]["embedding"]["value"] <= 1
        assert set(one["scores"]["embedding"]["controls"]) == {"shuffled", "random_sae"}
        assert one["counts"]["rows"] >= 6


def test_contexts_are_disjoint_training_rows(explained: Path) -> None:
    training = np.flatnonzero(read_split(samples(explained)) == 0)
    for one in latent_files(explained).values():
        rows = [place[1] for places in one["contexts"].values() for place in places]
        assert len(rows) == len(set(rows))
        assert set(rows) <= set(training.tolist())
        assert len(one["contexts"]["test"]) <= 6


def test_the_record_has_means_of_the_files_and_of_the_random_sae(explained: Path) -> None:
    scores = record_of(explained)["scores"]["embedding"]
    files = latent_files(explained).values()
    values = [one["scores"]["embedding"]["value"] for one in files]
    assert scores["mean"] == pytest.approx(np.mean(values))
    shuffled = [one["scores"]["embedding"]["controls"]["shuffled"]["value"] for one in files]
    assert scores["shuffled"]["mean"] == pytest.approx(np.mean(shuffled))
    assert scores["interval"][0] <= scores["mean"] <= scores["interval"][1]
    random = json.loads((sae_folder(explained, random=True) / "explanations.json").read_text())
    assert scores["random_sae"]["mean"] == random["scores"]["embedding"]["mean"]
    assert {one["scores"]["embedding"]["controls"]["random_sae"]["value"] for one in files} == {
        random["scores"]["embedding"]["mean"]
    }


def test_the_random_sae_is_explained_but_not_classified(explained: Path) -> None:
    assert len(list(sae_folder(explained, random=True).glob("[0-9]*.json"))) > 1
    assert not list((explained / "classifications").rglob("48-random"))


def test_the_table_has_one_row_per_latent(explained: Path) -> None:
    table = pq.read_table(sae_folder(explained) / "explanations.parquet").to_pylist()
    files = latent_files(explained)
    assert {row["latent"]: row["name"] for row in table} == {latent: one["name"] for latent, one in files.items()}
    assert all(row["score:embedding"] == files[row["latent"]]["scores"]["embedding"]["value"] for row in table)


def test_the_report_lists_every_latent_with_its_controls(explained: Path) -> None:
    with (explained / "reports" / "explanations.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {int(row["latent"]) for row in rows} == set(latent_files(explained))
    assert all(row["score"] and row["shuffled"] and row["random_sae"] for row in rows)
    for name in ("scores", "density"):
        assert (explained / "reports" / f"explanations_{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_second_run_prints_the_same_and_writes_nothing(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(copy) == OK
    printed = capsys.readouterr().out
    before = {p: p.stat().st_mtime_ns for p in (copy / "explanations").rglob("*.json")}
    assert run(copy) == OK
    assert {p: p.stat().st_mtime_ns for p in (copy / "explanations").rglob("*.json")} == before
    assert capsys.readouterr().out == printed
    assert "Explanations of latents (" in printed
    assert "shuffled explanations" in printed
    assert "latents that speak for it" in printed


def test_an_interrupted_run_keeps_finished_latents(copy: Path) -> None:
    files = latent_files(copy)
    kept, lost = sorted(files)[:2]
    (sae_folder(copy) / "explanations.json").unlink()
    (sae_folder(copy) / f"{lost}.json").unlink()
    marked = files[kept] | {"name": "kept from before"}
    (sae_folder(copy) / f"{kept}.json").write_text(json.dumps(marked))
    assert run(copy) == OK
    assert latent_files(copy)[kept]["name"] == "kept from before"
    assert [latent_files(copy)[lost][key] for key in ("name", "contexts", "counts")] == [
        files[lost][key] for key in ("name", "contexts", "counts")
    ]


def test_other_settings_explain_again(copy: Path) -> None:
    raw = yaml.safe_load((copy / "conf.yaml").read_text())
    raw["explain"]["latents"] = [1, 2, 3]
    write_config(copy, raw)
    assert main(["explain", "--config", str(copy / "conf.yaml")]) == OK
    record = record_of(copy)
    explained = {row["latent"] for row in pq.read_table(sae_folder(copy) / "explanations.parquet").to_pylist()}
    assert explained | {latent for latent, _ in record["too_few"]} == {1, 2, 3}


def test_a_single_latent_is_explained_without_a_shuffled_control(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    latent = min(latent_files(copy))
    raw = yaml.safe_load((copy / "conf.yaml").read_text())
    raw["explain"]["latents"] = [latent]
    write_config(copy, raw)
    assert main(["explain", "--config", str(copy / "conf.yaml")]) == OK
    scores = latent_files(copy)[latent]["scores"]["embedding"]
    assert set(scores["controls"]) == {"random_sae"}
    assert (
        f": 1 latent named (lexical)\n    embedding {scores['value']:.3f}, chance 0.5; random SAE"
        in capsys.readouterr().out
    )


def test_explanations_of_others_are_kept(copy: Path, caplog: pytest.LogCaptureFixture) -> None:
    latent = min(latent_files(copy))
    by_hand = {"explanation": "written by hand", "scores": {}}
    (sae_folder(copy) / f"{latent}.json").write_text(json.dumps(by_hand))
    (sae_folder(copy) / "explanations.json").unlink()
    assert run(copy) == OK
    assert latent_files(copy)[latent] == by_hand
    assert read_explanations(sae_folder(copy))[latent].text == "written by hand"


def test_the_command_needs_the_section(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = yaml.safe_load((copy / "conf.yaml").read_text())
    del raw["explain"]
    write_config(copy, raw)
    assert main(["explain", "--config", str(copy / "conf.yaml")]) == BAD_INPUT
    assert "explain: is missing" in capsys.readouterr().err


def test_a_control_that_was_not_extracted_is_an_error_with_a_way_out(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(samples(copy) / "layer_1" / "48-random")
    (sae_folder(copy) / "explanations.json").unlink()
    assert main(["explain", "--config", str(copy / "conf.yaml")]) == 1
    printed = capsys.readouterr().out
    assert "the codes of layer 1 48-random" in printed
    assert "random_sae from explain.controls" in printed


def test_top_features_are_taken_by_rank_over_classes_and_classifiers() -> None:
    linear = {"top_features": {"a": [{"feature": 5}, {"feature": 1}], "b": [{"feature": 7}, {"feature": 5}]}}
    tree = {"top_features": [{"feature": 9}], "nodes": [{"feature": 9}, {"feature": 3}, {"n_rows": 4}]}
    assert used_latents([linear, tree], 10) == [5, 7, 9, 1, 3]
    assert used_latents([linear, tree], 2) == [5, 7]
