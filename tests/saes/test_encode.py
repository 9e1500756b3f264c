"""Encoding and decoding against the dense computation of sae-lens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from saefari.saes import encode as encode_module
from saefari.saes.encode import Codes, encode, reconstruct
from saefari.saes.load import LoadedSae


def test_codes_equal_the_dense_encoding(any_sae: LoadedSae, hidden: torch.Tensor) -> None:
    codes = encode(any_sae, hidden)
    dense = any_sae.sae.encode(hidden).numpy()
    assert 0 < np.count_nonzero(dense) < dense.size
    np.testing.assert_allclose(codes.to_csr().toarray(), dense, rtol=1e-5, atol=1e-6)


def test_codes_hold_only_active_latents_in_order(any_sae: LoadedSae, hidden: torch.Tensor) -> None:
    codes = encode(any_sae, hidden)
    assert (codes.values > 0).all()
    assert codes.indptr[0] == 0
    assert codes.indptr[-1] == len(codes.indices) == len(codes.values)
    for start, end in zip(codes.indptr, codes.indptr[1:], strict=False):
        assert (np.diff(codes.indices[start:end]) > 0).all()
    assert (codes.indptr.dtype, codes.indices.dtype, codes.values.dtype) == (np.int64, np.int32, np.float32)


def test_reconstruction_equals_the_dense_decoding(any_sae: LoadedSae, hidden: torch.Tensor) -> None:
    expected = any_sae.sae.decode(any_sae.sae.encode(hidden))
    rebuilt = reconstruct(any_sae, encode(any_sae, hidden), hidden)
    torch.testing.assert_close(rebuilt, expected, rtol=1e-4, atol=1e-5)


def test_reconstruction_of_one_batch_does_not_depend_on_another(any_sae: LoadedSae, hidden: torch.Tensor) -> None:
    codes = encode(any_sae, hidden[:20])
    encode(any_sae, hidden[20:])
    expected = any_sae.sae.decode(any_sae.sae.encode(hidden[:20]))
    torch.testing.assert_close(reconstruct(any_sae, codes, hidden[:20]), expected, rtol=1e-4, atol=1e-5)


def test_chunks_do_not_change_the_codes(
    any_sae: LoadedSae, hidden: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    unchunked = encode(any_sae, hidden)
    monkeypatch.setattr(encode_module, "CHUNK_ELEMENTS", 1)
    monkeypatch.setattr(encode_module, "MIN_CHUNK_ROWS", 3)
    pieces = encode(any_sae, hidden)
    np.testing.assert_array_equal(pieces.indptr, unchunked.indptr)
    np.testing.assert_array_equal(pieces.indices, unchunked.indices)
    np.testing.assert_allclose(pieces.values, unchunked.values, rtol=1e-5, atol=1e-6)


def test_topk_is_chosen_among_all_latents(make_sae: Any, hidden: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = make_sae("topk", k=4)
    loaded.sae.b_enc += 5.0
    monkeypatch.setattr(encode_module, "CHUNK_ELEMENTS", loaded.d_sae // 4)
    monkeypatch.setattr(encode_module, "MAX_CHUNK_ELEMENTS", loaded.d_sae // 4)
    codes = encode(loaded, hidden)
    assert (np.diff(codes.indptr) == 4).all()
    pre = (loaded.sae.process_sae_in(hidden) @ loaded.sae.W_enc + loaded.sae.b_enc).numpy()
    best = np.sort(np.argsort(-pre, axis=1)[:, :4], axis=1)
    np.testing.assert_array_equal(codes.indices.reshape(-1, 4), best)


def test_latents_exactly_at_their_threshold_are_not_active(make_sae: Any) -> None:
    loaded = make_sae("jumprelu", d_in=3, d_sae=3, apply_b_dec_to_input=False)
    loaded.sae.W_enc.copy_(torch.eye(3))
    loaded.sae.b_enc.zero_()
    loaded.sae.threshold.copy_(torch.tensor([1.0, 2.0, -1.0]))
    codes = encode(loaded, torch.tensor([[1.0, 2.5, -0.5]]))
    assert codes.indices.tolist() == [1]


def test_a_centring_sae_gets_mean_free_hidden_states(make_sae: Any, hidden: torch.Tensor) -> None:
    loaded = make_sae("standard", center=True)
    expected = loaded.sae.encode(hidden - hidden.mean(-1, keepdim=True)).numpy()
    np.testing.assert_allclose(encode(loaded, hidden).to_csr().toarray(), expected, rtol=1e-5, atol=1e-6)
    shifted = encode(loaded, hidden + 3.0).to_csr().toarray()
    np.testing.assert_allclose(shifted, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_encoding_runs_in_float32(make_sae: Any, hidden: torch.Tensor, dtype: torch.dtype) -> None:
    loaded = make_sae("jumprelu")
    codes = encode(loaded, hidden.to(dtype))
    expected = loaded.sae.encode(hidden.to(dtype).float()).numpy()
    np.testing.assert_allclose(codes.to_csr().toarray(), expected, rtol=1e-5, atol=1e-6)


def test_no_positions_give_empty_codes(any_sae: LoadedSae) -> None:
    codes = encode(any_sae, torch.zeros(0, any_sae.d_in))
    assert codes.indptr.tolist() == [0]
    assert codes.to_csr().shape == (0, any_sae.d_sae)
    assert reconstruct(any_sae, codes, torch.zeros(0, any_sae.d_in)).shape == (0, any_sae.d_in)


@pytest.mark.parametrize("architecture", ["standard", "topk"])
def test_a_million_latents_are_encoded_in_bounded_blocks(make_sae: Any, architecture: str) -> None:
    loaded = make_sae(architecture, d_in=2, d_sae=2**20)
    loaded.sae.b_enc -= 1.0
    hidden = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    codes = encode(loaded, hidden)
    assert loaded.buffers is not None
    assert loaded.buffers[0].numel() == encode_module.MAX_CHUNK_ELEMENTS < 50 * 2**20
    row = loaded.sae.encode(hidden[41:42]).numpy()[0]
    own = codes.indices[codes.indptr[41] : codes.indptr[42]]
    np.testing.assert_array_equal(own, np.flatnonzero(row))


def test_csr_shares_memory_with_the_codes() -> None:
    codes = Codes(np.array([0, 1]), np.array([2], dtype=np.int32), np.array([0.5], dtype=np.float32), 3)
    assert np.shares_memory(codes.to_csr().data, codes.values)
    np.testing.assert_array_equal(codes.to_csr().toarray(), [[0, 0, 0.5]])
