"""A corpus in packed contexts, encoded and cached, against direct encoding of the same contexts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch

from saefari.config.explanation import ActivationCorpus
from saefari.errors import ConflictError, DataError
from saefari.interp.cache import codes_output, encode
from saefari.interp.cache.build import CacheSource, build_cache
from saefari.interp.cache.corpus import prepare_corpus
from saefari.interp.cache.encode import CachedSae, EncodeJob, encode_rows
from saefari.interp.contexts.rows import TokenRows
from saefari.models.source import ModelSource
from saefari.models.text_model import TextModel
from saefari.saes.ref import SaeRef
from saefari.store import iter_codes, read_samples

WORDS = ["cat", "dog", "sat", "river", "under", "tree", "slowly", "it"]
CONTEXT = 16
N_TEXTS = 120


@pytest.fixture
def corpus(tmp_path: Path) -> ActivationCorpus:
    generator = np.random.default_rng(0)
    lines = [" ".join(generator.choice(WORDS, generator.integers(0, 30))) for _ in range(N_TEXTS)]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps({"text": line}) + "\n" for line in lines))
    return ActivationCorpus(name=str(tmp_path / "corpus.jsonl"), context_size=CONTEXT)


@pytest.fixture
def job(tmp_path: Path, save_tiny: Callable[..., Path], save_sae: Callable[..., Any]) -> Callable[..., EncodeJob]:
    """job(kind, **changes): SAEs of two layers, at one layer a jumprelu and a topk one."""

    def build(kind: str, **changes: Any) -> EncodeJob:
        refs = []
        for layer, width, architecture in ((1, "64", "jumprelu"), (1, "96", "topk"), (2, "64", "standard")):
            path, options = tmp_path / f"sae-{layer}-{width}", {"k": 5} if architecture == "topk" else {}
            save_sae(path, f"blocks.{layer}.hook_resid_post", 32, int(width), architecture, **options)
            refs.append(SaeRef(layer, width, path=str(path), hook=f"blocks.{layer}.hook_resid_post"))
        source = ModelSource("llm", str(save_tiny(kind)), dtype="float32", device="cpu")
        saes = tuple(CachedSae(ref) for ref in refs)
        return EncodeJob("corpus", source, tmp_path / "corpus", saes, **{"max_tokens": 64} | changes)

    return build


def dense(sae: CachedSae, model: TextModel, folder: Path) -> list[np.ndarray]:
    """Encode each context alone, from Hugging Face's hidden states with sae-lens' own `encode`."""
    from sae_lens import SAE

    loaded = SAE.load_from_disk(str(sae.ref.path))
    found = []
    for row in read_samples(folder, ["input_ids", "valid"]).to_pylist():
        with torch.no_grad():
            ids = torch.tensor([row["input_ids"]])
            hidden = model.model(input_ids=ids, output_hidden_states=True).hidden_states[sae.ref.layer + 1][0]
            found.append(loaded.encode(hidden[row["valid"]]).numpy())
    return found


@pytest.mark.parametrize("kind", ["gpt2", "llama", "bert"])
def test_the_cache_equals_direct_encoding(
    kind: str, tmp_path: Path, corpus: ActivationCorpus, job: Callable[..., EncodeJob], load_tiny: Callable[..., Any]
) -> None:
    model, wanted = load_tiny(kind), job(kind)
    prepare_corpus(wanted.samples, corpus, model.tokenizer)
    with patch.object(encode, "ROWS_PER_SHARD", 32), patch.object(model, "capture", wraps=model.capture) as capture:
        encode_rows(wanted, lambda: model)
        n_rows = len(read_samples(wanted.samples, ["row"]))
        assert capture.call_count == sum(-(-min(32, n_rows - start) // 4) for start in range(0, n_rows, 32))
    for number, sae in enumerate(wanted.saes):
        source = CacheSource("corpus", wanted.samples, wanted.folder(sae))
        cache = build_cache(tmp_path / f"cache-{number}", [source], segment_activations=3000)
        expected = dense(sae, model, wanted.samples)
        assert cache.rows.lengths.tolist() == [len(codes) for codes in expected]
        stacked = np.vstack(expected)
        found = np.zeros_like(stacked)
        for latent in range(cache.d_sae):
            active = cache.of(latent)
            found[cache.rows.offsets[active.index] + active.position, latent] = active.value
        np.testing.assert_allclose(found, stacked, rtol=2e-3, atol=2e-4)
        assert cache.n_positions == len(stacked)


@pytest.mark.parametrize("kind", ["gpt2", "llama", "bert"])
def test_texts_of_contexts_belong_to_their_tokens(
    kind: str, corpus: ActivationCorpus, job: Callable[..., EncodeJob], load_tiny: Callable[..., Any]
) -> None:
    tokenizer, folder = load_tiny(kind).tokenizer, job(kind).samples
    prepare_corpus(folder, corpus, tokenizer)
    stored = read_samples(folder, ["input_ids", "valid", "text", "row", "label"]).to_pylist()
    bos, eos = tokenizer.tokenizer.bos_token_id, tokenizer.tokenizer.eos_token_id
    for row, tokens in zip(stored, TokenRows(folder), strict=True):
        ids = [row["input_ids"][place] for place in row["valid"]]
        assert [token.strip() for token in tokens.tokens] == tokenizer.tokenizer.convert_ids_to_tokens(ids)
        assert "".join(tokens.tokens) == row["text"]
        assert bos not in row["input_ids"][1:]
        assert tokens.label is None
        assert row["text"].count("\n\n") == sum(
            1 for a, b in zip(row["valid"], row["valid"][1:], strict=False) if eos in row["input_ids"][a:b]
        )
    assert all(len(row["input_ids"]) == CONTEXT for row in stored[:-1])
    assert any("\n\n" in row["text"] for row in stored)


def test_reading_stops_after_n_tokens(
    corpus: ActivationCorpus, job: Callable[..., EncodeJob], load_tiny: Callable[..., Any]
) -> None:
    tokenizer, folder = load_tiny("llama").tokenizer, job("llama").samples
    prepare_corpus(folder, corpus.model_copy(update={"n_tokens": 5 * CONTEXT}), tokenizer)
    assert len(read_samples(folder, ["row"])) == 5
    with pytest.raises(ConflictError, match="n_tokens: 80 -> 10000000"):
        prepare_corpus(folder, corpus, tokenizer)
    with pytest.raises(ConflictError, match="prepend_bos"):
        prepare_corpus(folder, corpus.model_copy(update={"n_tokens": 80}), tokenizer.with_bos(False))
    prepare_corpus(folder, corpus.model_copy(update={"packed": False}), tokenizer, overwrite=True)
    rows = read_samples(folder, ["text", "input_ids"]).to_pylist()
    assert all(len(row["input_ids"]) == min(CONTEXT, 1 + len(row["text"].split())) for row in rows)


def test_resume_after_a_failure(
    tmp_path: Path, corpus: ActivationCorpus, job: Callable[..., EncodeJob], load_tiny: Callable[..., Any]
) -> None:
    model, wanted = load_tiny("gpt2"), job("gpt2")
    prepare_corpus(wanted.samples, corpus, model.tokenizer)
    whole = job("gpt2", into=tmp_path / "whole")
    write, written = codes_output.write_shard, []

    def failing(folder: Path, index: int, *rest: Any) -> Any:
        if len(written) == 4:
            raise KeyboardInterrupt
        written.append((folder.parent.name, folder.name, index))
        return write(folder, index, *rest)

    with patch.object(encode, "ROWS_PER_SHARD", 32):
        encode_rows(whole, lambda: model)
        with patch.object(codes_output, "write_shard", failing), pytest.raises(KeyboardInterrupt):
            encode_rows(wanted, lambda: model)
        damaged = wanted.folder(wanted.saes[0]) / "shard-00000.npz"
        damaged.write_bytes(damaged.read_bytes()[:-1])
        encode_rows(wanted, lambda: model)
        encode_rows(wanted, lambda: pytest.fail("nothing is missing"))  # type: ignore[arg-type, return-value]
        with pytest.raises(ConflictError, match="outlier_norm: None -> 3"):
            encode_rows(job("gpt2", outlier_norm=3.0), lambda: model)
        encode_rows(job("gpt2", outlier_norm=3.0, overwrite=True), lambda: model)
    assert sorted(written[:3]) == [("layer_1", "64", 0), ("layer_1", "96", 0), ("layer_2", "64", 0)]
    for sae in wanted.saes:
        assert len(list(iter_codes(whole.folder(sae)))) > 2


def test_resumed_codes_equal_those_of_one_run(
    tmp_path: Path, corpus: ActivationCorpus, job: Callable[..., EncodeJob], load_tiny: Callable[..., Any]
) -> None:
    model, wanted = load_tiny("gpt2"), job("gpt2")
    prepare_corpus(wanted.samples, corpus, model.tokenizer)
    with patch.object(encode, "ROWS_PER_SHARD", 32):
        encode_rows(wanted, lambda: model)
        before = {path: path.read_bytes() for path in wanted.samples.rglob("*.npz")}
        for path in list(before)[::2]:
            path.unlink()
        encode_rows(wanted, lambda: model)
    assert {path: path.read_bytes() for path in wanted.samples.rglob("*.npz")} == before


def test_positions_with_an_outlying_norm_have_no_latent(
    tmp_path: Path, corpus: ActivationCorpus, job: Callable[..., EncodeJob], load_tiny: Callable[..., Any]
) -> None:
    model, wanted = load_tiny("gpt2"), job("gpt2", outlier_norm=1.1)
    prepare_corpus(wanted.samples, corpus, model.tokenizer)
    encode_rows(wanted, lambda: model)
    for layer, sae in ((1, wanted.saes[0]), (2, wanted.saes[2])):
        hidden = []
        for row in read_samples(wanted.samples, ["input_ids", "valid"]).to_pylist():
            with torch.no_grad():
                ids = torch.tensor([row["input_ids"]])
                states = model.model(input_ids=ids, output_hidden_states=True).hidden_states[layer + 1][0]
                hidden.append(states[row["valid"]])
        norms = torch.cat(hidden).norm(dim=-1).numpy()
        above = norms > 1.1 * np.median(norms[:4096])
        norm_file = wanted.folder(sae).parent / "norm.json"
        assert json.loads(norm_file.read_text())["median"] == pytest.approx(float(np.median(norms[:4096])), rel=1e-5)
        (shard,) = iter_codes(wanted.folder(sae))
        assert 0 < above.sum() < len(above)
        np.testing.assert_array_equal(shard.outliers, np.flatnonzero(above))
        expected = np.vstack(dense(sae, model, wanted.samples))
        expected[above] = 0
        np.testing.assert_allclose(shard.to_csr().toarray(), expected, rtol=2e-3, atol=2e-4)


def test_a_random_control_is_about_as_sparse(
    tmp_path: Path, corpus: ActivationCorpus, job: Callable[..., EncodeJob], load_tiny: Callable[..., Any]
) -> None:
    model, wanted = load_tiny("gpt2"), job("gpt2")
    prepare_corpus(wanted.samples, corpus, model.tokenizer)
    control = CachedSae(wanted.saes[0].ref, random=True)
    both = EncodeJob("corpus", wanted.model, wanted.samples, (wanted.saes[0], control), 64, into=tmp_path / "codes")
    encode_rows(both, lambda: model)
    assert both.folder(control) == tmp_path / "codes" / "layer_1" / "64-random"
    trained, random = (next(iter_codes(both.folder(sae))).to_csr() for sae in both.saes)
    assert random.nnz == pytest.approx(trained.nnz, rel=0.05)
    assert (random.toarray() != trained.toarray()).mean() > 0.1


def test_missing_samples_are_an_error(job: Callable[..., EncodeJob]) -> None:
    with pytest.raises(DataError, match="samples are missing"):
        encode_rows(job("gpt2"), lambda: pytest.fail("no model is needed"))  # type: ignore[arg-type, return-value]
