"""An attention sink in the middle of texts, from training to classification and live prediction."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from saefari.config import parse_config
from saefari.pipeline.execute.run_plan import run_plan
from saefari.pipeline.live.predict import predict_text
from saefari.pipeline.plan.make_plan import make_plan
from saefari.store import Layout, Manifest, read_codes_rows, read_samples
from tests.sinks import SINK, save_sink_model, sink_run, write_sink_texts

from .tiny import SHORT, samples


def run(raw: dict[str, Any], **stages: Any) -> None:
    report = run_plan(make_plan(parse_config(raw)), **stages)
    assert report.failures == []


def figures(root: Path) -> dict[str, float]:
    """FVU and dead share over the dataset, macro-F1 of the linear probe on pooled sums."""
    (manifest,) = (Manifest.load(path) for path in (root / "activations").rglob("layer_2/batchtopk"))
    assert manifest is not None
    summary = pd.read_csv(root / "classifications" / "summary.csv")
    chosen = summary[(summary.source == "sae") & (summary.pooling == "sum") & (summary.classifier == "linear")]
    return {"fvu": manifest.stats["fvu"], "dead": manifest.stats["dead_fraction"], "f1": float(chosen.macro_f1.iloc[0])}


@pytest.mark.slow
@pytest.mark.parametrize("act_only", [False, True])
def test_a_sink_does_not_affect_saes_and_classifiers(tmp_path: Path, act_only: bool) -> None:
    write_sink_texts(tmp_path / "texts.jsonl", 900)
    found = {}
    for name, left_out, norm in (("found", False, "auto"), ("expected", True, None), ("without", False, None)):
        model = save_sink_model(tmp_path / name / "model", left_out)
        raw = sink_run(model, tmp_path / "texts.jsonl", tmp_path / name, outlier_norm=norm, act_only=act_only)
        stream = {"n_positions": 40_000, "batch_size": 256, "buffer_size": 2048}
        run(raw | {"sae_training": [{"d_sae": 64, "k": 6, **stream}]})
        found[name] = figures(tmp_path / name)
    assert found["found"]["fvu"] == pytest.approx(found["expected"]["fvu"], rel=0.15)
    assert found["found"]["dead"] == pytest.approx(found["expected"]["dead"], abs=0.12)
    assert found["found"]["f1"] == pytest.approx(found["expected"]["f1"], abs=0.1)
    assert found["without"]["dead"] > max(found["found"]["dead"], found["expected"]["dead"]) + 0.05
    assert found["without"]["f1"] < min(found["found"]["f1"], found["expected"]["f1"]) - 0.05


def test_an_sae_that_fits_the_other_positions(tmp_path: Path) -> None:
    """FVU is measured on those alone; without the setting, the sink dominates it."""
    write_sink_texts(tmp_path / "texts.jsonl", 300)
    model = save_sink_model(tmp_path / "model")
    raw = sink_run(model, tmp_path / "texts.jsonl", tmp_path / "one")
    raw["sae_training"] = [{"d_sae": 64, "k": 6, "n_positions": 12_000, "batch_size": 256, "buffer_size": 1024}]
    run(raw, classifying=False)
    (sae,) = (path.parent for path in (tmp_path / "one" / "saes").rglob("cfg.json"))
    quality = json.loads((sae / "quality.json").read_text())
    assert quality["settings"]["outlier_norm"] == 10
    fvu = {}
    for name, norm in (("with", "auto"), ("without", None)):
        raw = sink_run(model, tmp_path / "texts.jsonl", tmp_path / name, outlier_norm=norm)
        raw["models"][0] |= {"widths": ["64"], "sae_path": str(sae)}
        run(raw, classifying=False)
        manifest = Manifest.load(samples(tmp_path / name) / "layer_2" / "64")
        assert manifest is not None
        fvu[name] = manifest.stats["fvu"]
    assert fvu["with"] == pytest.approx(quality["fvu"], rel=0.2)
    assert fvu["without"] > 2 * fvu["with"]


@pytest.mark.parametrize("source", ["64", "hidden"])
@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_live_prediction_leaves_out_outliers_as_stored_data_do(sink_results: Path, source: str, pooling: str) -> None:
    layout = Layout.below(sink_results)
    (folder,) = (
        path.parent
        for path in layout.classifications.rglob("results.json")
        if source in path.parts and path.parent.name.startswith(pooling)
    )
    split = samples(sink_results / "activations")
    columns = read_samples(split, ["row", "text"]).to_pydict()
    texts = dict(zip(columns["row"], columns["text"], strict=True))
    table = pd.read_parquet(folder / "predictions.parquet")
    with_sink = [row for row in table.row if texts[row].endswith(SINK)]
    without = [row for row in table.row if SINK not in texts[row]]
    chosen = [*with_sink[:3], *without[:2]]
    assert len(chosen) == 5
    for row in chosen:
        live = predict_text(layout, folder, "linear", texts[row], str(sink_results / "model"))
        expected = table[table.row == row][[f"linear:{name}" for name in live.classes]].to_numpy()[0]
        # pooled hidden states are stored in float16
        np.testing.assert_allclose(live.probabilities, expected, atol=1e-4 if source == "64" else 1e-3)
        if source == "64":
            assert live.codes is not None
            codes = read_codes_rows(split / "layer_2" / "64", [row]).to_csr()
            np.testing.assert_allclose(live.codes.toarray(), codes.toarray(), rtol=2e-3, atol=1e-4)
            words = texts[row].split()
            assert [bool(n) for n in np.diff(live.codes.indptr)] == [word != SINK for word in words]


@pytest.fixture(scope="module")
def sink_results(tmp_path_factory: pytest.TempPathFactory, save_sae: Callable[..., Any]) -> Path:
    """A run with an SAE in its output tree, where live prediction finds it."""
    root = tmp_path_factory.mktemp("sinks")
    write_sink_texts(root / "texts.jsonl", 150, share=0.25)
    model = save_sink_model(root / "model")
    save_sae(root / "saes" / "given", "blocks.2.hook_resid_post", 32, 64, "topk", k=5)
    raw = sink_run(model, root / "texts.jsonl", root)
    raw["models"][0] |= {"widths": ["64"], "sae_path": str(root / "saes" / "given")}
    run(raw)
    return root


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [("llama", "auto", 10), ("bert", "auto", None), ("bert", 5, 5), ("llama", None, None)],
)
def test_only_causal_models_have_outliers_by_default(
    tmp_path: Path, save_tiny: Callable[..., Path], save_sae: Callable[..., Any], kind: str, given: Any, expected: Any
) -> None:
    write_sink_texts(tmp_path / "texts.jsonl", 40)
    save_sae(tmp_path / "sae", "blocks.2.hook_resid_post", 32)
    raw = sink_run(save_tiny(kind), tmp_path / "texts.jsonl", tmp_path, outlier_norm=given)
    raw["models"][0] |= {"widths": ["64"], "sae_path": str(tmp_path / "sae")}
    run(raw, classifying=False)
    for name in ("hidden", "64"):
        manifest = Manifest.load(samples(tmp_path) / "layer_2" / name)
        assert manifest is not None
        assert manifest.settings.get("outlier_norm") == expected
        assert ("outlier_norm" in manifest.settings) == ("norm_limit" in manifest.facts) == (expected is not None)
        arrays = np.load(samples(tmp_path) / "layer_2" / name / "shard-00000.npz")
        assert ("outliers" in arrays) == (expected is not None)


def test_data_with_another_outlier_norm_are_not_classified(tmp_path: Path) -> None:
    write_sink_texts(tmp_path / "texts.jsonl", 60)
    raw = sink_run(save_sink_model(tmp_path / "model"), tmp_path / "texts.jsonl", tmp_path)
    raw["sae_training"] = [{"d_sae": 48, **SHORT}]
    run(raw, classifying=False)
    raw["settings"]["outlier_norm"] = None
    report = run_plan(make_plan(parse_config(raw)), training=False, extracting=False)
    assert any("outlier_norm: 10.0 -> None" in failure.reason for failure in report.failures)
    assert not any(row["source"] == "sae" for row in report.rows)
    report = run_plan(make_plan(parse_config(raw)), extracting=False, classifying=False)
    (failure,) = report.failures
    assert "outlier_norm: 10.0 stored, None now" in failure.reason


def test_train_sae_measures_outliers(tmp_path: Path) -> None:
    """`saefari train-sae`, before anything is extracted: the median is measured then, and extraction takes it over."""
    write_sink_texts(tmp_path / "texts.jsonl", 60)
    raw = sink_run(save_sink_model(tmp_path / "model"), tmp_path / "texts.jsonl", tmp_path)
    raw["sae_training"] = [{"d_sae": 48, **SHORT}]
    run(raw, extracting=False, classifying=False)
    split = samples(tmp_path)
    before = (split / "layer_2" / "norm.json").read_bytes()
    run(raw, classifying=False)
    assert (split / "layer_2" / "norm.json").read_bytes() == before
    manifest = Manifest.load(split / "layer_2" / "hidden")
    assert manifest is not None
    assert manifest.facts["norm_limit"] == 10 * json.loads(before)["median"]
