"""SAE training as a stage: plan, order, and failures."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from saefari.log import logger
from saefari.pipeline.commands.cli import main, run_experiments
from saefari.pipeline.execute.build_jobs import train_jobs

from ..tiny import SHORT, Raw, classified, plan_of


def planned(raw: Raw) -> list[tuple[int, str, bool, bool]]:
    """(layer, name, trained in the run, with a random control) of every SAE of the only model."""
    (model,) = plan_of(raw).models
    return [(sae.ref.layer, sae.ref.width, sae.training is not None, sae.random) for sae in model.saes]


def trained_saes(root: Path) -> set[str]:
    return {f"{path.parent.parent.name}/{path.parent.name}" for path in root.rglob("quality.json")}


ALL = {(layer, f"batchtopk-d{d_sae}") for layer in (1, 2) for d_sae in (48, 64)}


def test_every_layer_of_every_model_gets_every_sae(raw: Raw) -> None:
    assert planned(raw) == [(layer, name, True, False) for layer, name in sorted(ALL)]


def test_named_saes_are_planned_beside_swept_ones(raw: Raw, tmp_path: Path, save_sae: Callable[..., Any]) -> None:
    save_sae(tmp_path / "given", "blocks.1.hook_resid_post", 32)
    given = raw["models"][0] | {"layers": [1], "widths": ["mine"], "sae_path": str(tmp_path / "given")}
    raw["models"] = [given | {"random_sae": True}, raw["models"][0]]
    assert planned(raw) == [
        (1, "mine", False, True),
        (1, "batchtopk-d48", True, True),
        (1, "batchtopk-d64", True, True),
        (2, "batchtopk-d48", True, False),
        (2, "batchtopk-d64", True, False),
    ]


def test_saes_that_share_a_stream_share_a_job(raw: Raw, tmp_path: Path) -> None:
    corpus = {"name": str(tmp_path / "texts.jsonl")}
    raw["models"][0] |= {"widths": ["32"], "sae_train": SHORT}
    raw["sae_training"] += [
        {"name": "wide", "d_sae": 96, **SHORT, "lr": [1e-3, 1e-2]},
        {"name": "long", "d_sae": 96, **SHORT, "n_positions": 4096},
        {"name": "corpus", "d_sae": 96, **SHORT, "corpus": corpus},
    ]
    raw["settings"] |= {"act_only": True, "checkpoint_minutes": 2, "training_log": "wandb", "seed": 3}
    plan = plan_of(raw)
    rows, longer, texts = [train.job for train in train_jobs(plan, "cpu", False)]
    names = ["32", "batchtopk-d48", "batchtopk-d64", "wide-lr0.001", "wide-lr0.01"]
    assert sorted((sae.layer, sae.width) for sae in rows.saes) == [(layer, name) for layer in (1, 2) for name in names]
    assert [sae.width for sae in longer.saes] == ["long", "long"]
    assert [sae.width for sae in texts.saes] == ["corpus", "corpus"]
    assert (rows.data.stored, longer.data.stored, texts.data.stored) == (True, True, False)
    assert texts.data.corpus is not None
    assert (texts.data.corpus.name, texts.data.samples) == (corpus["name"], ())
    (model,), (dataset,) = plan.models, plan.datasets
    assert rows.data.samples == longer.data.samples == (plan.samples(model, dataset, "train"),)
    folders = {job.progress.checkpoint for job in (rows, longer, texts)}
    assert len(folders) == 3
    assert all(folder.parent == plan.layout.saes / model.slug for folder in folders)
    assert all(folder.name.startswith(".checkpoint-") for folder in folders)
    assert (rows.progress.checkpoint_minutes, rows.progress.log, rows.seed) == (2, "wandb", 3)
    assert rows.progress.log_folder == plan.layout.reports / "training"


def test_a_run_trains_extracts_and_classifies_what_is_swept(
    raw: Raw, saved: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_experiments(saved(raw)) == 0
    assert trained_saes(tmp_path) == {f"layer_{layer}/{name}" for layer, name in ALL}
    assert classified(tmp_path) == ALL
    assert "SAEs reused" not in capsys.readouterr().out
    assert run_experiments(saved(raw)) == 0
    assert "4 SAEs reused from an earlier run." in capsys.readouterr().out


def test_train_sae_only_trains(
    raw: Raw,
    saved: Callable[..., list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    raw["models"][0]["random_sae"] = True
    assert main(["train-sae", *saved(raw)]) == 0
    assert len(trained_saes(tmp_path)) == 4
    assert not list(tmp_path.rglob("shard-*"))
    assert not list(tmp_path.rglob("results.json"))
    assert "Trained SAEs" in capsys.readouterr().out
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("saes/**/*") if path.is_file()}
    with caplog.at_level(logging.INFO, logger.name):
        assert main(["train-sae", *saved(raw)]) == 0
    assert "4 SAEs reused from an earlier run." in capsys.readouterr().out
    assert "loading" not in caplog.text, "no model is needed"
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_the_report_names_every_trained_sae(
    raw: Raw, saved: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw["models"][0]["layers"] = [1]
    assert main(["train-sae", *saved(raw)]) == 0
    assert {"batchtopk-d48", "batchtopk-d64"} <= set(capsys.readouterr().out.split())
    assert len(pd.read_csv(tmp_path / "reports" / "saes.csv")) == 2
    (tmp_path / "reports" / "saes.csv").unlink()
    (tmp_path / "reports" / "saes.csv").mkdir()  # so that it cannot be written
    assert main(["train-sae", *saved(raw)]) == 1
    printed = capsys.readouterr().out
    assert "FAILED: report on the trained SAEs" in printed
    assert "2 SAEs reused" in printed


def test_with_act_only_saes_are_trained_after_extraction(
    raw: Raw, saved: Callable[..., list[str]], tmp_path: Path
) -> None:
    raw["settings"]["act_only"] = True
    assert main(["train-sae", *saved(raw)]) == 0
    (quality,) = tmp_path.rglob("layer_1/batchtopk-d48/quality.json")
    (shard,) = tmp_path.rglob("layer_1/hidden/shard-*.npz")
    assert shard.stat().st_mtime_ns < quality.stat().st_mtime_ns
    assert "positions" in np.load(shard)
    assert not list(tmp_path.rglob("layer_1/batchtopk-d48/shard-*"))
    assert run_experiments(saved(raw)) == 0
    assert classified(tmp_path) == ALL


def test_train_sae_ignores_other_saes(raw: Raw, tmp_path: Path, save_sae: Callable[..., Any]) -> None:
    save_sae(tmp_path / "given", "blocks.3.hook_resid_post", 32)
    name = raw["models"][0]["name"]
    raw["models"] = [
        {"name": name, "layers": [1], "widths": ["48"], "sae_train": SHORT},
        {"name": name, "layers": [3], "widths": ["given"], "sae_path": str(tmp_path / "given")},
    ]
    raw["sae_training"] = []
    (model,) = plan_of(raw).training_only().models
    assert [sae.ref.width for sae in model.saes] == ["48"]


def test_train_sae_needs_no_dataset_if_every_sae_has_a_corpus(raw: Raw, tmp_path: Path) -> None:
    entry, corpus = {"d_sae": 48, **SHORT}, {"corpus": {"name": str(tmp_path / "texts.jsonl")}}
    raw["sae_training"] = [entry | corpus]
    assert plan_of(raw).training_only().datasets == []
    assert plan_of(raw | {"datasets": []}).datasets == []
    raw["sae_training"] = [entry | corpus, entry | {"name": "rows"}]
    assert len(plan_of(raw).training_only().datasets) == 1


def test_a_corpus_is_recognised_by_its_rows_not_its_path(
    raw: Raw,
    saved: Callable[..., list[str]],
    tmp_path: Path,
    write_texts: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    texts = tmp_path / "corpus.jsonl"
    write_texts(texts, 300)
    raw["sae_training"] = [{"d_sae": 48, **SHORT, "corpus": {"name": str(texts), "context_size": 32}}]
    assert run_experiments(saved(raw)) == 0
    written = {file: file.read_bytes() for file in tmp_path.rglob("saes/*/layer_*/*/*.json")}
    assert len(written) == 4
    assert not any(str(tmp_path).encode() in content for content in written.values())
    assert run_experiments(saved(raw)) == 0
    assert "2 SAEs reused" in capsys.readouterr().out
    write_texts(texts, 301)
    assert run_experiments(saved(raw)) == 1
    assert "trained with other settings (corpus_rows: " in capsys.readouterr().out
    assert {file: file.read_bytes() for file in written} == written


def test_a_corpus_excludes_special_tokens(raw: Raw, tmp_path: Path) -> None:
    raw["settings"]["include_special_tokens"] = True
    raw["sae_training"][0]["corpus"] = {"name": str(tmp_path / "texts.jsonl")}
    with pytest.raises(Exception, match=r"sae_training\[0\]\.corpus: excludes special tokens"):
        plan_of(raw)


def test_nothing_to_train_is_an_error(
    raw: Raw,
    saved: Callable[..., list[str]],
    tmp_path: Path,
    save_sae: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    save_sae(tmp_path / "given", "blocks.1.hook_resid_post", 32)
    raw["sae_training"] = []
    raw["models"][0] |= {"layers": [1], "widths": ["64"], "sae_path": str(tmp_path / "given")}
    assert main(["train-sae", *saved(raw)]) == 2
    assert "sae_training: is missing" in capsys.readouterr().err


def test_an_sae_that_diverges_stops_no_other_sae(
    raw: Raw, saved: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw["models"][0]["layers"] = [1]
    raw["sae_training"] = [{"name": "good", "d_sae": 48, **SHORT}]
    assert main(["train-sae", *saved(raw)]) == 0
    raw["sae_training"].append({"name": "bad", "d_sae": 48, **SHORT, "lr": 1e30})
    assert run_experiments(saved(raw)) == 1
    printed = capsys.readouterr().out
    assert "FAILED: SAEs of" in printed
    assert "bad (layer 1) diverged" in printed
    assert classified(tmp_path) == {(1, "good")}


def test_an_sae_with_other_settings_is_not_used(
    raw: Raw, saved: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw["sae_training"] = [{"d_sae": 48, **SHORT}]
    assert main(["train-sae", *saved(raw)]) == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("saes/**/quality.json")}
    raw["settings"]["seed"] = 1  # no setting of the SAE itself, and yet it was trained on rows that now test
    assert run_experiments(saved(raw)) == 1
    assert "trained with other settings (seed: 0 stored, 1 now" in capsys.readouterr().out
    assert classified(tmp_path) == set()
    assert {path: path.read_bytes() for path in before} == before
    assert run_experiments([*saved(raw), "--overwrite"]) == 0
    assert {json.loads(path.read_text())["settings"]["seed"] for path in before} == {1}


@pytest.mark.parametrize(
    ("section", "value", "expected"),
    [
        ("models/0/layers", [1, 7], "models[0].layers[1]: 7: "),
        ("sae_training/0/corpus", {"name": "nowhere.jsonl"}, "sae_training[0].corpus.name: "),
        ("sae_training/0/corpus", {"name": "python-docs", "split": "dev"}, "sae_training[0].corpus.split: "),
        ("sae_training/0/corpus", {"name": "python-docs", "text_field": "txt"}, "sae_training[0].corpus.text_field: "),
        ("sae_training/0/k", [4, 64], "sae_training[0].k[1]: 64: is more than the 48 latents of d_sae[0]"),
        ("settings/training_log", "tensorboard", "settings.training_log: 'tensorboard' needs the package"),
    ],
)
@pytest.mark.parametrize("command", [[], ["train-sae"]], ids=["run", "train-sae"])
@pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["", "dry"])
def test_errors_are_reported_before_training(
    raw: Raw,
    saved: Callable[..., list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    section: str,
    value: Any,
    expected: str,
    command: list[str],
    dry: list[str],
) -> None:
    monkeypatch.setattr("saefari.pipeline.plan.make_plan.find_spec", lambda _: None)
    raw = copy.deepcopy(raw)
    *parents, last = section.split("/")
    target: Any = raw
    for key in parents:
        target = target[int(key) if isinstance(target, list) else key]
    target[last] = value
    assert (main if command else run_experiments)([*command, *saved(raw), *dry]) == 2
    assert expected in capsys.readouterr().err
    assert not list(tmp_path.rglob("samples.parquet"))


def test_a_corpus_of_sae_train_is_checked_too(raw: Raw) -> None:
    raw["models"][0] |= {"widths": ["48"], "sae_train": SHORT | {"corpus": {"name": "python-docs", "split": "dev"}}}
    with pytest.raises(Exception, match=r"models\[0\]\.sae_train\.corpus\.split: .*splits: train"):
        plan_of(raw)


def test_dry_run_lists_the_saes_to_train(
    raw: Raw, saved: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train-sae", *saved(raw), "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "SAEs to train: 4 (0 already trained)" in printed
    assert "extract to" not in printed
    assert not list(tmp_path.rglob("samples.parquet"))


def test_saes_of_one_layer_read_one_hook_point(raw: Raw, tmp_path: Path, save_sae: Callable[..., Any]) -> None:
    save_sae(tmp_path / "given", "blocks.1.hook_mlp_out", 32)
    raw["models"][0] |= {"layers": [1], "widths": ["mine"], "sae_path": str(tmp_path / "given")}
    with pytest.raises(Exception, match=r"sae_training\[0\]: at layer 1, 'batchtopk-d48' reads .*hook_resid_post"):
        plan_of(raw)
