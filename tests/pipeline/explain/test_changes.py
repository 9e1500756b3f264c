"""What a rerun does after changed settings, missing and damaged files, and steps that are not possible."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from saefari.interp import explain_sae
from saefari.pipeline.commands.cli import BAD_INPUT, FAILED, OK, main, run_experiments
from saefari.store import read_explanations
from tests.pipeline.explain.conftest import (
    LEXICAL,
    configuration,
    latent_files,
    record_of,
    run,
    sae_folder,
    write_config,
)


def change(root: Path, **more: Any) -> None:
    """Change keys of `explain`."""
    raw = yaml.safe_load((root / "conf.yaml").read_text())
    raw["explain"] |= more
    write_config(root, raw)


def explain(root: Path, *flags: str) -> int:
    return main(["explain", "--config", str(root / "conf.yaml"), *flags])


def same(files: dict[int, dict[str, Any]]) -> dict[int, Any]:
    """The content of latents' files without the versions of libraries."""
    return {latent: {key: value for key, value in one.items() if key != "provenance"} for latent, one in files.items()}


def test_names_of_other_settings_are_removed(copy: Path) -> None:
    outdated = max(latent_files(copy))
    kept = sorted(set(latent_files(copy)) - {outdated})
    (sae_folder(copy) / "4711.json").write_text(json.dumps({"explanation": "by hand"}))
    change(copy, latents=kept)
    assert explain(copy, "--overwrite") == OK
    assert set(latent_files(copy)) == {*kept, 4711}
    assert read_explanations(sae_folder(copy))[4711].text == "by hand"


@pytest.mark.parametrize("damaged", ["explanations.parquet", "explanations.json", "latent"])
@pytest.mark.parametrize("content", [None, b"PAR1 {", b'{"inputs": "'])
def test_missing_and_damaged_files_are_written_again(copy: Path, damaged: str, content: bytes | None) -> None:
    files, table = latent_files(copy), pq.read_table(sae_folder(copy) / "explanations.parquet").to_pylist()
    path = sae_folder(copy) / (f"{min(files)}.json" if damaged == "latent" else damaged)
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
        if damaged == "latent":
            (sae_folder(copy) / "explanations.json").unlink()  # as after an interruption
    assert explain(copy) == OK
    assert same(latent_files(copy)) == same(files)
    assert pq.read_table(sae_folder(copy) / "explanations.parquet").to_pylist() == table


def test_an_edited_file_of_explanations_is_read_again(copy: Path) -> None:
    latents, csv = sorted(latent_files(copy)), copy / "texts.csv"
    csv.write_text(f"latent,text\n{latents[0]},first text\n")
    change(copy, explainers=["human", "lexical"], file=str(csv))
    assert explain(copy) == OK
    assert latent_files(copy)[latents[0]]["name"] == "first text"
    csv.write_text(f'latent,text\n{latents[0]},"<b>second</b> | \x00 🦊 text"\n', encoding="utf-8")
    assert explain(copy) == OK
    assert "🦊" in latent_files(copy)[latents[0]]["name"]


def test_a_latent_that_a_table_lacks_is_listed_and_is_no_failure(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    latents, csv = sorted(latent_files(copy)), copy / "texts.csv"
    csv.write_text(f"latent,text\n{latents[0]},only this one\n")
    change(copy, explainers=["human"], file=str(csv))
    assert explain(copy) == OK
    printed = capsys.readouterr().out
    assert f"{len(latents) - 1} steps not possible, the first: explain human: explain.file has no row" in printed
    assert set(latent_files(copy)) == {latents[0]}
    assert latent_files(copy)[latents[0]]["scores"]["embedding"]["controls"].keys() == {"random_sae"}
    failures = record_of(copy)["failures"]
    assert [(one["latent"], one["is_possible"]) for one in failures] == [(latent, False) for latent in latents[1:]]
    assert str(copy) not in (sae_folder(copy) / "explanations.json").read_text()
    before = (sae_folder(copy) / "explanations.json").stat().st_mtime_ns
    assert explain(copy) == OK
    assert (sae_folder(copy) / "explanations.json").stat().st_mtime_ns == before


def test_steps_that_are_not_possible_survive_an_interruption(copy: Path) -> None:
    latents, csv = sorted(latent_files(copy)), copy / "texts.csv"
    csv.write_text(f"latent,text\n{latents[0]},only this one\n")
    change(copy, explainers=["human", "lexical"], file=str(csv))
    assert explain(copy) == OK
    failures = record_of(copy)["failures"]
    (sae_folder(copy) / "explanations.json").unlink()
    (sae_folder(copy) / f"{latents[-1]}.json").unlink()
    assert explain(copy) == OK
    assert record_of(copy)["failures"] == failures


def test_without_enough_examples_of_the_random_sae_there_is_a_warning_and_no_control(
    copy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(sae_folder(copy, random=True))
    choose = explain_sae._choose
    monkeypatch.setattr(
        explain_sae, "_choose", lambda job, cache: ([], [(0, 1)]) if job.sae.random else choose(job, cache)
    )
    change(copy, latents=sorted(latent_files(copy)))
    assert explain(copy) == OK
    assert "warning: no control by a random SAE" in capsys.readouterr().out
    assert "random_sae" not in record_of(copy)["scores"]["embedding"]
    assert explain(copy) == OK
    assert "warning: no control by a random SAE" in capsys.readouterr().out


def test_reports_of_earlier_explanations_are_removed(copy: Path) -> None:
    assert run(copy) == OK
    change(copy, explainers=["none"])
    assert explain(copy) == OK
    assert not list((copy / "reports").glob("explanations*"))


def test_explaining_before_the_run_says_what_to_do(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = yaml.safe_load((copy / "conf.yaml").read_text())
    raw["settings"]["base_save_dir"] = str(copy / "elsewhere" / "activations")
    raw["settings"]["base_classify_dir"] = str(copy / "elsewhere" / "classifications")
    write_config(copy, raw)
    assert explain(copy) == FAILED
    assert "its codes are not stored: run `python run_experiments.py`" in capsys.readouterr().out
    assert run_experiments(["--config", str(copy / "conf.yaml"), "--extract-only"]) == OK
    assert explain(copy) == FAILED
    assert "no classifier was trained on its codes: run `python run_experiments.py`" in capsys.readouterr().out


def test_intervening_in_an_encoder_is_an_error_before_any_work(
    tmp_path: Path, save_tiny: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    client = {"kind": "local", "model": str(save_tiny("llama"))}
    raw = configuration(tmp_path, save_tiny("bert"))
    (tmp_path / "texts.jsonl").write_text('{"text": "a", "label": "b"}\n')
    write_config(tmp_path, raw | {"explain": LEXICAL | {"scorers": ["intervention"], "client": client}})
    assert run(tmp_path) == BAD_INPUT
    assert "explain.scorers: intervention needs a model that writes" in capsys.readouterr().err
    assert not (tmp_path / "activations").exists()


def test_one_explained_latent_has_no_shuffled_control(copy: Path) -> None:
    (latent, *_) = sorted(latent_files(copy))
    change(copy, latents=[latent])
    assert explain(copy) == OK
    assert set(latent_files(copy)) == {latent}
    assert "shuffled" not in record_of(copy)["scores"]["embedding"]


def test_the_shuffled_control_is_the_explanation_of_another_latent(copy: Path) -> None:
    latents, csv = sorted(latent_files(copy))[:2], copy / "texts.csv"
    csv.write_text(f"latent,text\n{latents[0]},a river and a tree\n{latents[1]},under the mat\n")
    change(copy, explainers=["human"], file=str(csv), latents=latents, controls=["shuffled"])
    assert explain(copy) == OK
    shuffled = [one["scores"]["embedding"]["controls"]["shuffled"]["value"] for one in latent_files(copy).values()]
    csv.write_text(f"latent,text\n{latents[1]},a river and a tree\n{latents[0]},under the mat\n")
    assert explain(copy) == OK
    exchanged = [one["scores"]["embedding"]["value"] for one in latent_files(copy).values()]
    assert shuffled == exchanged


def test_all_latents_and_a_random_sample(copy: Path) -> None:
    change(copy, latents="all", controls=[])
    assert explain(copy) == OK
    everything = set(latent_files(copy))
    assert len(everything) + len(record_of(copy)["too_few"]) == 48
    change(copy, latents={"random": 3})
    assert explain(copy) == OK
    drawn = set(latent_files(copy))
    assert len(drawn) == 3
    assert drawn < everything
    assert drawn != set(sorted(everything)[:3])
