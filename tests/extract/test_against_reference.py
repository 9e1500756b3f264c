"""Stage 1 against a dense reference: one text at a time, with Hugging Face's hidden states."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse
from transformers import AutoModel, AutoTokenizer

from saefari.config import Config
from saefari.pipeline.execute.run_plan import run_plan
from saefari.pipeline.plan.make_plan import make_plan
from saefari.store import Manifest, iter_codes, iter_hidden_positions, read_pooled_hidden, read_samples

KINDS = ["gpt2", "llama", "gemma2", "pythia", "bert"]


def extract(config: Config) -> Path:
    """Run stage 1; return the samples folder."""
    plan = make_plan(config)
    report = run_plan(plan, classifying=False)
    assert report.failures == []
    return plan.samples(plan.models[0], plan.datasets[0], "train")


def reference_states(config: Config, layer: int) -> list[torch.Tensor]:
    """Return hidden_states[layer + 1] of each text alone, [n_words, d_model], without special tokens."""
    folder = config.models[0].name
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    final_norm = {}
    states = []
    # The last entry of the tuple is after the final norm, the last block's output before it.
    blocks = next(m for m in model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == 4)
    handle = blocks[-1].register_forward_hook(
        lambda _, __, out: final_norm.update(last=out[0] if isinstance(out, tuple) else out)
    )
    for text in texts_of(config):
        encoded = tokenizer(text, return_tensors="pt", return_special_tokens_mask=True)
        valid = encoded.pop("special_tokens_mask")[0] == 0
        encoded.pop("token_type_ids", None)
        if encoded["input_ids"].shape[1] == 0:
            states.append(torch.zeros(0, 32))
            continue
        with torch.no_grad():
            tuple_ = model(**encoded, output_hidden_states=True).hidden_states
        last = final_norm["last"] if layer == 3 else tuple_[layer + 1]
        states.append(last.reshape(-1, 32)[valid])
    handle.remove()
    return states


def texts_of(config: Config) -> list[str]:
    import pandas as pd

    return pd.read_json(config.datasets[0].name, lines=True)["text"].tolist()  # type: ignore[no-any-return]


def stored_codes(folder: Path) -> tuple[sparse.csr_array, np.ndarray]:
    shards = list(iter_codes(folder))
    parts = [sparse.csr_array((s.values, s.indices, s.indptr), shape=(len(s.indptr) - 1, s.d_sae)) for s in shards]
    lengths = np.concatenate([np.diff(s.offsets) for s in shards])
    return sparse.vstack(parts, format="csr"), lengths


@pytest.mark.parametrize("padding_side", ["left", "right"])
@pytest.mark.parametrize("kind", KINDS)
def test_hidden_states_and_codes_match_the_reference(
    kind: str, padding_side: str, experiment: Callable[..., Config], given_saes: Callable[..., Any]
) -> None:
    saes = given_saes()
    config = experiment(kind, padding_side=padding_side, store_positions=True)
    samples = extract(config)
    for layer in (1, 3):
        states = reference_states(config, layer)
        pooled = read_pooled_hidden(samples / f"layer_{layer}" / "hidden", "mean")
        last = read_pooled_hidden(samples / f"layer_{layer}" / "hidden", "last")
        for i, state in enumerate(states):
            expected = state.mean(0) if len(state) else torch.zeros(32)
            np.testing.assert_allclose(pooled[i], expected, rtol=2**-11, atol=2e-4)  # stored as float16
            np.testing.assert_allclose(last[i], state[-1] if len(state) else torch.zeros(32), rtol=2**-11, atol=2e-4)
        everything = torch.cat(states)
        positions = np.concatenate(
            [shard.positions for shard in iter_hidden_positions(samples / f"layer_{layer}" / "hidden")]
        )
        np.testing.assert_allclose(positions, everything, rtol=2e-3, atol=2e-3)
        for width in ("64", "96"):
            codes, lengths = stored_codes(samples / f"layer_{layer}" / width)
            assert lengths.tolist() == [len(state) for state in states]
            with torch.no_grad():
                dense = saes[layer, width].encode(everything).numpy()
            np.testing.assert_allclose(codes.toarray(), dense, rtol=2e-3, atol=2e-3)
            assert (dense > 0).any()


def test_the_manifest_has_the_quality_of_the_sae(
    experiment: Callable[..., Config], given_saes: Callable[..., Any]
) -> None:
    saes = given_saes()
    config = experiment("gpt2")
    samples = extract(config)
    x = torch.cat(reference_states(config, 1))
    with torch.no_grad():
        acts = saes[1, "64"].encode(x)
        error = (x - saes[1, "64"].decode(acts)).square().sum()
    manifest = Manifest.load(samples / "layer_1" / "64")
    assert manifest is not None
    stats = manifest.stats
    assert stats["n_positions"] == len(x)
    assert stats["fvu"] == pytest.approx(float(error / (x - x.mean(0)).square().sum()), rel=1e-3)
    assert stats["explained_variance"] == pytest.approx(1 - stats["fvu"])
    assert stats["l0"] == pytest.approx(float((acts > 0).sum(1).float().mean()), rel=1e-6)
    assert stats["dead_fraction"] == pytest.approx(float((acts > 0).sum(0).eq(0).float().mean()))
    assert any("wrong hook point or the wrong model" in warning for warning in manifest.warnings)


@pytest.mark.parametrize("site", ["hook_resid_pre", "hook_mlp_out", "attn.hook_z"])
def test_the_saes_own_metadata_decides_the_hook_point(
    site: str, experiment: Callable[..., Config], given_saes: Callable[..., Any]
) -> None:
    given_saes(site)
    config = experiment("gpt2")
    samples = extract(config)
    found = read_pooled_hidden(samples / "layer_1" / "hidden", "mean")
    if site == "hook_resid_pre":
        expected = np.stack([s.mean(0) if len(s) else np.zeros(32) for s in reference_states(config, 0)])
        np.testing.assert_allclose(found, expected, rtol=2**-11, atol=2e-4)
    manifest = Manifest.load(samples / "layer_1" / "hidden")
    assert manifest is not None
    assert manifest.facts["hook"] == f"blocks.1.{site}"


def test_saes_of_processed_weights_get_centred_states(
    experiment: Callable[..., Config], given_saes: Callable[..., Any]
) -> None:
    kwargs = {"model_from_pretrained_kwargs": {"center_writing_weights": True}}
    saes = given_saes(metadata=kwargs)
    config = experiment("gpt2")
    samples = extract(config)
    x = torch.cat(reference_states(config, 3))
    with torch.no_grad():
        dense = saes[3, "64"].encode(x - x.mean(-1, keepdim=True)).numpy()
    codes, _ = stored_codes(samples / "layer_3" / "64")
    np.testing.assert_allclose(codes.toarray(), dense, rtol=2e-3, atol=2e-3)


def test_stored_activations_give_the_same_codes(
    experiment: Callable[..., Config], given_saes: Callable[..., Any], tmp_path: Path
) -> None:
    given_saes()
    direct = extract(experiment("llama"))
    config = experiment("llama", act_only=True, base_save_dir=str(tmp_path / "stored" / "activations"))
    stored = extract(config)
    assert not (stored / "layer_1" / "64").exists()
    from saefari.pipeline.execute import build_jobs as stages
    from saefari.pipeline.execute.executor import run_on_devices

    outcomes = run_on_devices(stages.encode_jobs(make_plan(config, need_model=False), "cpu", False), ["cpu"])
    assert [outcome.failure for outcome in outcomes] == [None]
    for layer in (1, 3):
        for width in ("64", "96"):
            a, _ = stored_codes(direct / f"layer_{layer}" / width)
            b, _ = stored_codes(stored / f"layer_{layer}" / width)
            first, second = a.toarray(), b.toarray()
            both = (first > 0) & (second > 0)
            assert both.sum() > 0.99 * (first > 0).sum()  # a value near the threshold may cross it
            np.testing.assert_allclose(first[both], second[both], rtol=5e-3, atol=5e-3)


def test_token_spans_cut_the_words_out_of_the_text(
    experiment: Callable[..., Config], given_saes: Callable[..., Any]
) -> None:
    given_saes()
    samples = extract(experiment("bert"))
    table = read_samples(samples, ["text", "span_start", "span_end", "valid", "n_tokens"]).to_pylist()
    for record in table:
        words = [record["text"][a:b] for a, b in zip(record["span_start"], record["span_end"], strict=True)]
        assert words == record["text"].split()
        assert len(record["valid"]) == record["n_tokens"] - 2


def test_out_of_gpu_memory_halves_the_batch_without_loss(
    experiment: Callable[..., Config], given_saes: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from saefari.models.text_model import TextModel

    given_saes()
    expected = extract(experiment("gpt2", n_rows=90, max_tokens_per_batch=512))
    original = TextModel.capture
    refused = []

    def capture(self: TextModel, input_ids: Any, hooks: Any) -> Any:
        if len(input_ids) > 7:
            refused.append(len(input_ids))
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(self, input_ids, hooks)

    monkeypatch.setattr(TextModel, "capture", capture)
    elsewhere = str(tmp_path / "small" / "activations")
    found = extract(experiment("gpt2", n_rows=90, max_tokens_per_batch=512, base_save_dir=elsewhere))
    assert refused
    for layer in (1, 3):
        first, _ = stored_codes(expected / f"layer_{layer}" / "64")
        second, _ = stored_codes(found / f"layer_{layer}" / "64")
        np.testing.assert_allclose(first.toarray(), second.toarray(), rtol=2e-3, atol=2e-3)


def test_a_single_text_that_does_not_fit_is_an_error(
    experiment: Callable[..., Config], given_saes: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from saefari.models.text_model import TextModel

    def capture(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    given_saes()
    config = experiment("gpt2")
    monkeypatch.setattr(TextModel, "capture", capture)
    report = run_plan(make_plan(config), classifying=False)
    message = "does not fit the GPU's memory; use a smaller settings.dtype or, for texts, lower settings.max_length"
    assert message in report.failures[0][1]


def test_a_hidden_state_too_large_for_float16_is_an_error_not_infinity(
    experiment: Callable[..., Config], given_saes: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from saefari.models.text_model import TextModel

    given_saes()
    original = TextModel.capture
    monkeypatch.setattr(TextModel, "capture", lambda *args: {hook: x * 1e6 for hook, x in original(*args).items()})
    report = run_plan(make_plan(experiment("gpt2", store_positions=True)), classifying=False)
    assert "exceeds the range of float16" in report.failures[0][1]


@pytest.mark.gpu
def test_a_gpu_gives_the_same_as_the_cpu(
    experiment: Callable[..., Config], given_saes: Callable[..., Any], tmp_path: Path
) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    given_saes()
    on_cpu = extract(experiment("llama"))
    elsewhere = str(tmp_path / "gpu" / "activations")
    on_gpu = extract(experiment("llama", device="cuda", dtype="float32", base_save_dir=elsewhere))
    for layer in (1, 3):
        first, _ = stored_codes(on_cpu / f"layer_{layer}" / "64")
        second, _ = stored_codes(on_gpu / f"layer_{layer}" / "64")
        both = (first.toarray() > 0) & (second.toarray() > 0)
        assert both.sum() > 0.99 * (first.toarray() > 0).sum()
        np.testing.assert_allclose(first.toarray()[both], second.toarray()[both], rtol=5e-3, atol=5e-3)
