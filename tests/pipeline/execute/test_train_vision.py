"""`saefari train-vision`, and the vision model as part of a plan."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from saefari.pipeline.commands.cli import main, run_experiments
from saefari.pipeline.execute.vision_model import learned_row_warnings, vision_jobs
from saefari.store import IMAGE_SCHEMA, SamplesWriter, read_samples, read_split, read_training_digests, write_split

from ..tiny import SHORT, Raw, plan_of, tiny_settings

TINY = {"name": "tiny", "image_size": 8, "hidden_size": 16, "layers": 2, "heads": 2, "epochs": 1}


@pytest.fixture
def raw(tmp_path: Path) -> Raw:
    """A small vision model on a few digits, and an SAE for one of its blocks."""
    return {
        "settings": tiny_settings(tmp_path, model_type="vit", max_samples=200),
        "vision_training": dict(TINY),
        "models": [{"name": "tiny", "layers": [1]}],
        "sae_training": [{"architecture": "jumprelu", "d_sae": 32, "target_l0": 4}],
        "datasets": [{"name": "digits", "image_field": "image"}],
    }


Saved = Callable[[Raw], list[str]]


def test_it_trains_and_prints_the_accuracy(
    raw: Raw, saved: Saved, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert main(["train-vision", *saved(raw)]) == 0
        printed = capsys.readouterr().out
        record = json.loads((tmp_path / "models" / "tiny" / "training.json").read_text())
        assert f"Vision model tiny: accuracy {record['accuracy']['test']:.1%} on test rows" in printed
        assert str(tmp_path / "models" / "tiny") in printed
    assert not list(tmp_path.rglob("samples.parquet"))
    assert [file.name for file in (tmp_path / "models").iterdir() if file.name != ".lock"] == ["tiny"]


def test_a_dry_run_prints_the_planned_work(
    raw: Raw, saved: Saved, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = "vision model tiny: 8 x 8 cells of an image of 8 pixels, 2 blocks of 16 dimensions; "
    assert main(["train-vision", *saved(raw), "--dry-run"]) == 0
    assert expected + "to train for 1 epochs on digits" in capsys.readouterr().out
    assert not (tmp_path / "models").exists()
    assert main(["train-vision", *saved(raw)]) == 0
    assert main(["train-vision", *saved(raw), "--dry-run"]) == 0
    assert expected + "already trained" in capsys.readouterr().out


def test_other_settings_need_overwrite(raw: Raw, saved: Saved, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train-vision", *saved(raw)]) == 0
    changed = [*saved(raw), "--set", "vision_training.causal=true"]
    assert main(["train-vision", *changed]) == 1
    assert "trained with other settings (causal: False stored, True now)" in capsys.readouterr().out
    assert main(["train-vision", *changed, "--overwrite"]) == 0


def test_nothing_to_train_is_an_error(raw: Raw, saved: Saved, capsys: pytest.CaptureFixture[str]) -> None:
    del raw["vision_training"]
    raw["settings"]["model_type"] = "llm"
    raw["models"] = [{"name": "sentence-transformers/all-MiniLM-L6-v2", "layers": [1]}]
    raw["datasets"] = [{"name": "python-docs", "text_field": "text"}]
    assert main(["train-vision", *saved(raw)]) == 2
    assert "vision_training: is missing: nothing to train" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("models", 0, "layers", [0, 2]), "models[0].layers[1]: 2: 'tiny' has the layers 0 to 1"),
        (("models", 0, "model_type", "llm"), "models[0].model_type: 'llm': vision_training trains this model"),
        (("models", 0, "positions", "cls"), "models[0].name: 'tiny' has no class token"),
        (("models", 0, "revision", "main"), "models[0].revision: 'main': has no effect"),
        (("vision_training", "heads", 3), "vision_training.heads: 3: does not divide hidden_size 16"),
        (
            ("vision_training", "dataset", "digit"),
            "'digit': is not the name of a dataset: digits (did you mean 'digits'?)",
        ),
        (("vision_training", "conv", [{"channels": 8, "kernel": 11}]), "is too large for an image of 8 pixels"),
        (("vision_training", "conv", [{"channel": 8}]), "vision_training.conv[0].channel: unknown key"),
        (("vision_training", "name", "a/b"), "vision_training.name: 'a/b'"),
        (("datasets", 0, "image_field", None), "datasets[0].image_field: None: vision_training needs images"),
        (("datasets", 0, "image_field", "picture"), "datasets[0].image_field: column 'picture' does not exist"),
    ],
)
def test_errors_are_reported_before_training(
    raw: Raw, saved: Saved, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Any, expected: str
) -> None:
    target: Any = raw
    *place, key, value = change
    for part in place:
        target = target[part]
    target[key] = value
    assert main(["train-vision", *saved(raw)]) == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


def test_the_vision_model_in_the_plan(raw: Raw, tmp_path: Path) -> None:
    plan = plan_of(raw)
    (model,) = plan.models
    assert (model.name, model.slug) == (str(tmp_path / "models" / "tiny"), "tiny")
    assert model.saes[0].ref.path == str(tmp_path / "saes" / "tiny" / "layer_1" / "jumprelu")
    (job,) = vision_jobs(plan, "cpu", False)
    assert job.job.folder == tmp_path / "models" / "tiny"
    assert (job.job.max_rows, job.job.test_size, job.job.seed) == (200, 0.2, 0)


def test_a_failure_skips_only_work_on_the_model(
    raw: Raw, saved: Saved, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    raw["vision_training"]["learning_rate"] = 1e30
    assert run_experiments([*saved(raw), "--extract-only"]) == 1
    printed = capsys.readouterr().out
    assert printed.count("FAILED") == 1
    assert "FAILED: vision model tiny" in printed
    assert "diverged at step" in printed


@pytest.mark.slow
def test_extraction_and_training_have_the_same_test_rows(
    raw: Raw, saved: Saved, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw["sae_training"] = [{"d_sae": 32, **SHORT}]
    raw["settings"]["seed"] = 5
    assert run_experiments([*saved(raw), "--extract-only"]) == 0
    assert "of the test rows, so scores" not in capsys.readouterr().out
    rows = pq.read_table(tmp_path / "models" / "tiny" / "rows.parquet").to_pandas()
    samples = tmp_path / "activations" / "tiny" / "digits" / "train"
    sides = dict(zip(read_samples(samples, ["row"])["row"].to_pylist(), read_split(samples).tolist(), strict=True))
    assert len(rows) == len(sides) == 200
    assert {row for row, side in sides.items() if side == 1} == set(rows[rows.part == "test"].row)
    assert list(tmp_path.rglob("saes/tiny/layer_1/*/quality.json"))


@pytest.mark.slow
def test_a_model_given_by_its_folder_warns_about_learned_test_rows(
    raw: Raw, saved: Saved, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train-vision", *saved(raw)]) == 0
    del raw["vision_training"]
    raw["models"][0]["name"] = str(tmp_path / "models" / "tiny")
    raw["sae_training"] = [{"d_sae": 32, **SHORT}]
    for seed, expected in ((0, False), (1, True)):
        raw["settings"] |= {"seed": seed, "base_save_dir": str(tmp_path / str(seed) / "activations")}
        capsys.readouterr()
        assert run_experiments([*saved(raw), "--extract-only"]) == 0
        assert ("of the test rows, so scores" in capsys.readouterr().out) is expected


def test_learned_test_rows_are_a_warning(raw: Raw, saved: Saved, tmp_path: Path) -> None:
    assert main(["train-vision", *saved(raw)]) == 0
    plan = plan_of(raw)
    (model,), (dataset,) = plan.models, plan.datasets
    learned = read_training_digests(tmp_path / "models" / "tiny").to_pylist()
    folder = plan.samples(model, dataset, "train")
    with SamplesWriter(folder, {}, IMAGE_SCHEMA) as writer:
        for row, pixels in enumerate([*learned[:5], "0" * 64]):
            writer.write({"row": row, "id": str(row), "label": "1", "pixels": pixels})

    def warnings(*parts: int) -> list[str]:
        write_split(folder, np.asarray(parts, dtype=np.int8), {}, [])
        return list(learned_row_warnings(plan))

    assert warnings(0, 0, 0, -1, 0, 1) == []
    (warning,) = warnings(1, 0, 1, 1, -1, 1)
    assert warning.startswith("digits/train: tiny was trained on 3 of the test rows")
