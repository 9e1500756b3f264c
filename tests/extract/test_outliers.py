"""Positions with a norm far above the median keep their index but are excluded everywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from saefari.config import parse_config
from saefari.pipeline.execute.run_plan import run_plan
from saefari.pipeline.plan.make_plan import make_plan
from saefari.store import (
    Manifest,
    iter_codes,
    read_codes_rows,
    read_pooled_hidden,
    read_samples,
    read_split,
)
from saefari.store.files import read_json, write_json
from tests.sinks import SINK, SINK_ID, save_sink_model, sink_run, write_sink_texts

Extracted = Callable[..., Path]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, save_sae: Callable[..., Any]) -> Path:
    """Folder with two models, `plain` and `left_out`, `texts.jsonl` and `sae`."""
    root = tmp_path_factory.mktemp("sinks")
    save_sink_model(root / "plain")
    save_sink_model(root / "left_out", left_out=True)
    write_sink_texts(root / "texts.jsonl", 240)
    save_sae(root / "sae", "blocks.2.hook_resid_post", 32)
    return root


@pytest.fixture
def extracted(root: Path, tmp_path: Path) -> Extracted:
    """extracted(name, model="plain", **settings): extract; return the training split's samples folder."""

    def extract(name: str, model: str = "plain", data: str = "texts.jsonl", **settings: Any) -> Path:
        raw = sink_run(root / model, root / data, tmp_path / name, **settings)
        raw["models"][0] |= {"widths": ["64"], "sae_path": str(root / "sae"), "random_sae": True}
        if not data.endswith(".jsonl"):
            raw["datasets"][0]["test_split"] = "test"
        plan = make_plan(parse_config(raw))
        report = run_plan(plan, classifying=settings.get("act_only", False))
        assert not report.failures, report.failures[0].reason
        return plan.samples(plan.models[0], plan.datasets[0], "train")

    return extract


def manifest(samples: Path, folder: str) -> Manifest:
    found = Manifest.load(samples / "layer_2" / folder)
    assert found is not None
    return found


def is_sink(samples: Path) -> np.ndarray:
    """Return bool [n_positions]: which valid positions hold the sink word."""
    table = read_samples(samples, ["input_ids", "valid"]).to_pydict()
    rows = zip(table["input_ids"], table["valid"], strict=True)
    return np.concatenate([np.asarray(ids)[valid] == SINK_ID for ids, valid in rows])


def test_results_equal_those_without_the_outliers(extracted: Extracted) -> None:
    found, expected = extracted("found"), extracted("expected", "left_out", outlier_norm=None)
    for how in ("mean", "last"):
        actual, reference = (read_pooled_hidden(samples / "layer_2/hidden", how) for samples in (found, expected))
        np.testing.assert_allclose(actual, reference, rtol=1e-5, atol=1e-5)
    for width in ("64", "64-random"):
        (actual,), (reference,) = (list(iter_codes(samples / "layer_2" / width)) for samples in (found, expected))
        codes, offsets = actual.without_outliers()
        np.testing.assert_array_equal(offsets, reference.offsets)
        np.testing.assert_allclose(codes.toarray(), reference.to_csr().toarray(), rtol=2e-3, atol=1e-4)
        np.testing.assert_array_equal(actual.outliers, np.flatnonzero(is_sink(found)))
        assert actual.offsets[-1] == len(is_sink(found)) == len(actual.indptr) - 1  # they keep their index
        assert np.diff(actual.indptr)[actual.outliers].max() == 0
        stats = manifest(found, width).stats
        assert stats["n_positions"] == reference.offsets[-1]
        assert stats == pytest.approx(manifest(expected, width).stats, rel=1e-4)


def test_without_the_setting_outliers_dominate(extracted: Extracted) -> None:
    found, expected = extracted("found", outlier_norm=None), extracted("expected", "left_out", outlier_norm=None)
    actual, reference = (read_pooled_hidden(samples / "layer_2/hidden", "mean") for samples in (found, expected))
    assert np.abs(actual).max() > 10 * np.abs(reference).max()
    assert "outlier_norm" not in manifest(found, "hidden").settings
    (codes,) = iter_codes(found / "layer_2/64")
    assert len(codes.outliers) == 0
    assert codes.to_csr().max() > 10 * next(iter(iter_codes(expected / "layer_2/64"))).to_csr().max()


def test_the_limit_is_a_multiple_of_the_median_on_training_rows(extracted: Extracted, root: Path) -> None:
    samples = extracted("found", outlier_norm=7)
    model, tokenizer = AutoModel.from_pretrained(root / "plain").eval(), AutoTokenizer.from_pretrained(root / "plain")
    texts = np.asarray(read_samples(samples, ["text"])["text"].to_pylist())[read_split(samples) == 0]
    norms = []
    for text in texts:
        with torch.no_grad():
            encoded = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
            states = model(**encoded, output_hidden_states=True)
        norms.append(states.hidden_states[3][0, 1:].norm(dim=-1))
    for folder in ("hidden", "64", "64-random"):
        stored = manifest(samples, folder)
        assert stored.settings["outlier_norm"] == 7
        assert stored.facts["norm_limit"] == pytest.approx(7 * float(torch.cat(norms).quantile(0.5)), rel=1e-3)


def test_outliers_are_counted_and_many_give_a_warning(extracted: Extracted) -> None:
    samples = extracted("found")
    texts = [text.split() for text in read_samples(samples, ["text"])["text"].to_pylist()]
    hidden = manifest(samples, "hidden")
    assert hidden.stats == {
        "empty_rows": 0,
        "positions": sum(map(len, texts)),
        "outliers": sum(words.count(SINK) for words in texts),
        "outlier_rows": sum(SINK in words for words in texts),
    }
    (warning,) = hidden.warnings
    assert f"{hidden.stats['outliers']} of {hidden.stats['positions']:,} positions" in warning
    assert "settings.outlier_norm" in warning


def test_a_row_of_only_outliers_is_empty(extracted: Extracted, root: Path) -> None:
    lines = (root / "texts.jsonl").read_text().splitlines()
    (root / "more.jsonl").write_text("\n".join([f'{{"text": "{SINK} {SINK}", "label": "a"}}', *lines]) + "\n")
    samples = extracted("found", data="more.jsonl")
    assert manifest(samples, "hidden").stats["empty_rows"] == 1
    for how in ("mean", "last"):
        assert not read_pooled_hidden(samples / "layer_2/hidden", how)[0].any()


def test_stored_positions_are_encoded_with_the_same_outliers(extracted: Extracted) -> None:
    direct, stored = extracted("direct"), extracted("stored", act_only=True)
    for width in ("64", "64-random"):
        (actual,), (reference,) = (list(iter_codes(samples / "layer_2" / width)) for samples in (stored, direct))
        np.testing.assert_array_equal(actual.outliers, reference.outliers)
        np.testing.assert_array_equal(actual.offsets, reference.offsets)
        differing = np.abs(actual.to_csr() - reference.to_csr()).toarray() > 2e-2
        assert differing.any(axis=1).mean() < 0.02  # float16 rounding can move a latent across its threshold
        for shared in ("norm_limit", "weights_sha256"):
            assert manifest(stored, width).facts[shared] == manifest(direct, width).facts[shared]
        assert manifest(stored, width).stats["n_positions"] == manifest(direct, width).stats["n_positions"]


def test_a_test_split_has_the_limit_of_the_training_split(extracted: Extracted, root: Path) -> None:
    (root / "split").mkdir()
    write_sink_texts(root / "split" / "train.jsonl", 90)
    texts = write_sink_texts(root / "split" / "test.jsonl", 60, share=0.9, seed=1)
    train = extracted("found", data="split")
    test = train.parent / "test"
    limits = [manifest(samples, "64").facts["norm_limit"] for samples in (train, test)]
    assert limits[0] == limits[1]
    assert manifest(test, "hidden").stats["outliers"] == sum(text.split().count(SINK) for text in texts)
    assert not (test / "layer_2" / "norm.json").exists()


def test_batches_change_neither_the_limit_nor_the_outliers(extracted: Extracted) -> None:
    first = extracted("first", max_tokens_per_batch=64)
    for name, settings in (("large", {"max_tokens_per_batch": 2048}), ("single", {"batch_size": 1})):
        other = extracted(name, **settings)
        assert manifest(other, "64").facts == manifest(first, "64").facts
        one, two = (next(iter_codes(samples / "layer_2/64")) for samples in (first, other))
        for array in ("indptr", "indices", "outliers"):
            np.testing.assert_array_equal(getattr(one, array), getattr(two, array))
        one, two = (np.load(samples / "layer_2/hidden/shard-00000.npz")["outliers"] for samples in (first, other))
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("forgotten", [False, True])
def test_a_resumed_run_gives_the_same_bytes(extracted: Extracted, root: Path, forgotten: bool) -> None:
    """forgotten: the median is also measured again."""
    write_sink_texts(root / "long.jsonl", 2100)
    samples = extracted("found", data="long.jsonl")
    expected = digests(samples)
    for folder in ("hidden", "64", "64-random"):
        record = read_json(samples / "layer_2" / folder / "manifest.json")
        (samples / "layer_2" / folder / record["shards"].pop(int(folder != "64"))["name"]).unlink()
        write_json(samples / "layer_2" / folder / "manifest.json", record | {"stats": {}, "warnings": []})
    if forgotten:
        (samples / "layer_2" / "norm.json").unlink()
    assert extracted("found", data="long.jsonl") == samples
    assert digests(samples) == expected


def test_another_multiple_does_not_reuse_stored_data(extracted: Extracted) -> None:
    samples = extracted("found")
    before = digests(samples)
    for other in (None, 20):
        with pytest.raises(AssertionError, match=rf"outlier_norm: 10.0 -> {other}"):
            extracted("found", outlier_norm=other)
    assert digests(samples) == before
    extracted("found", outlier_norm=10)
    assert digests(samples) == before


def test_selected_rows_keep_their_outliers(extracted: Extracted) -> None:
    samples = extracted("found")
    (codes_shard,) = iter_codes(samples / "layer_2/64")
    rows = [7, 3, 11]
    chosen = read_codes_rows(samples / "layer_2/64", rows)
    parts = [codes_shard.to_csr()[codes_shard.offsets[row] : codes_shard.offsets[row + 1]].toarray() for row in rows]
    np.testing.assert_array_equal(chosen.to_csr().toarray(), np.concatenate(parts))
    sinks = is_sink(samples)
    expected = np.concatenate([sinks[codes_shard.offsets[row] : codes_shard.offsets[row + 1]] for row in rows])
    np.testing.assert_array_equal(chosen.outliers, np.flatnonzero(expected))


def digests(samples: Path) -> dict[str, str]:
    return {
        str(path.relative_to(samples)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(samples.rglob("*"))
        if path.is_file()
    }
