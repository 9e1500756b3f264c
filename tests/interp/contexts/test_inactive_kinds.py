"""Neighbours against dense computations, and hard inactive contexts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from saefari.config.explanation import HardInactive, Sampling
from saefari.errors import DataError, StoreError
from saefari.interp.cache.build import CacheSource, build_cache
from saefari.interp.cache.latent_cache import LatentCache
from saefari.interp.contexts import neighbours
from saefari.interp.contexts.examples import ExampleSampler
from saefari.interp.contexts.inactive_kinds import inactive_kind
from saefari.interp.contexts.neighbours import co_occurring, similar_directions
from saefari.interp.contexts.rows import TokenRows
from saefari.store import iter_decoder, iter_encoder
from tests.interp.stored_split import random_codes, write_split_with_codes

D_SAE, D_IN = 13, 5
SAMPLING = Sampling(window=6, explain=8, test=20, inactive=20)


@pytest.fixture
def codes() -> list[np.ndarray]:
    return random_codes(300, D_SAE, seed=2)


@pytest.fixture
def source(tmp_path: Path, codes: list[np.ndarray]) -> CacheSource:
    return write_split_with_codes(tmp_path / "a", codes)


@pytest.fixture
def cache(tmp_path: Path, source: CacheSource) -> LatentCache:
    return build_cache(tmp_path / "cache", [source], segment_activations=300)


@pytest.fixture
def sae(tmp_path: Path) -> tuple[Path, np.ndarray, np.ndarray]:
    """Folder of an SAE, its decoder [d_sae, d_in] and encoder [d_in, d_sae]."""
    generator = np.random.default_rng(0)
    decoder, encoder = (generator.normal(size=shape).astype(np.float32) for shape in ((D_SAE, D_IN), (D_IN, D_SAE)))
    (tmp_path / "sae").mkdir()
    save_file({"W_dec": decoder, "W_enc": encoder}, tmp_path / "sae" / "sae_weights.safetensors")
    return tmp_path / "sae", decoder, encoder


def ordered(similarity: np.ndarray, latent: int, n: int, allowed: set[int]) -> list[int]:
    best = sorted((-similarity[other], other) for other in allowed - {latent} if similarity[other] > -1)
    return [other for _, other in best[:n]]


@pytest.mark.parametrize("block", [1 << 24, 30])
def test_co_occurrence_equals_a_dense_computation(
    cache: LatentCache, codes: list[np.ndarray], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "_MAX_ELEMENTS", block)
    active = np.vstack(codes) > 0
    found = co_occurring(cache, [5, 1, 0, 12], 4)
    assert sorted(found) == [0, 1, 5, 12]
    for latent, others in found.items():
        both = (active[:, [latent]] & active).sum(0)
        jaccard = both / np.maximum((active[:, [latent]] | active).sum(0), 1)
        assert others.tolist() == ordered(jaccard, latent, 4, set(np.flatnonzero(both).tolist()))


@pytest.mark.parametrize("which", ["decoder", "encoder"])
@pytest.mark.parametrize("block", [1, 4, 100])
def test_similar_directions_equal_a_dense_computation(
    cache: LatentCache, sae: tuple[Path, np.ndarray, np.ndarray], which: str, block: int
) -> None:
    folder, decoder, encoder = sae
    rows = decoder if which == "decoder" else encoder.T
    read = iter_decoder if which == "decoder" else iter_encoder
    np.testing.assert_array_equal(np.concatenate(list(read(folder, block))), rows)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    found = similar_directions(cache, [7, 2], 4, lambda: read(folder, block))
    for latent, others in found.items():
        assert others.tolist() == ordered(unit @ unit[latent], latent, 4, set(range(1, D_SAE)))  # 0 never fires


def test_neighbours_are_among_the_kept_latents(tmp_path: Path, source: CacheSource) -> None:
    cache = build_cache(tmp_path / "part", [source], [2, 3, 9])
    directions = lambda: [np.eye(D_SAE) + 1]  # noqa: E731
    assert set(similar_directions(cache, [3], 5, directions)[3].tolist()) == {2, 9}
    assert set(co_occurring(cache, [3], 5)[3].tolist()) <= {2, 9}


def test_a_missing_encoder_is_an_error(tmp_path: Path) -> None:
    save_file({"W_dec": np.eye(3)}, tmp_path / "sae_weights.safetensors")
    with pytest.raises(StoreError, match="W_enc cannot be read"):
        next(iter_encoder(tmp_path))


def embed(texts: Sequence[str]) -> np.ndarray:
    """Count letters."""
    return np.asarray([[text.count(letter) for letter in "acdegiorstuv"] for text in texts], dtype=np.float32)


def sampler(cache: LatentCache, source: CacheSource, kind: HardInactive, **options: Any) -> ExampleSampler:
    rows = {"a": TokenRows(source.samples)}
    hard = inactive_kind(kind, cache, SAMPLING, 0, rows, range(D_SAE), **options)
    return ExampleSampler(cache, SAMPLING, 0, rows, hard)


@pytest.mark.parametrize("kind", ["cooccurrence", "decoder", "encoder", "embedding"])
def test_hard_contexts_are_inactive_disjoint_and_deterministic(
    kind: HardInactive,
    cache: LatentCache,
    source: CacheSource,
    codes: list[np.ndarray],
    sae: tuple[Path, np.ndarray, np.ndarray],
) -> None:
    directions = {"decoder": lambda: iter_decoder(sae[0]), "encoder": lambda: iter_encoder(sae[0])}.get(kind)
    options = {"embed": embed} if kind == "embedding" else {"directions": directions}
    forwards, again = (sampler(cache, source, kind, **options) for _ in range(2))
    plain = sampler(cache, source, "random")
    found = {latent: forwards.examples(latent) for latent in range(D_SAE)}
    for latent in reversed(range(D_SAE)):
        examples, without = found[latent], plain.examples(latent)
        same = again.examples(latent)
        assert [(c.row, c.start) for c in examples.inactive] == [(c.row, c.start) for c in same.inactive]
        assert [c.row for c in examples.test] == [c.row for c in without.test]  # only the inactive ones differ
        rows = [c.row for c in (*examples.explain, *examples.test, *examples.inactive, *examples.explain_inactive)]
        assert len(rows) == len(set(rows))
        assert len(examples.inactive) == len(without.inactive)
        for context in (*examples.inactive, *examples.explain_inactive):
            row = codes[(context.row - 100) // 3][:, latent]
            assert not row[context.start : context.start + len(context.tokens)].any()


def test_neighbours_are_active_in_the_inactive_contexts(
    cache: LatentCache, source: CacheSource, codes: list[np.ndarray]
) -> None:
    examples = sampler(cache, source, "cooccurrence").examples(9)
    near = co_occurring(cache, range(D_SAE), 10)[9]
    for context in examples.inactive:
        window = codes[(context.row - 100) // 3][context.start : context.start + len(context.tokens)]
        assert window[:, near].any()


def test_embedded_contexts_are_the_nearest_of_the_pool(cache: LatentCache, source: CacheSource) -> None:
    similar, random = sampler(cache, source, "embedding", embed=embed), sampler(cache, source, "random")

    def closeness(examples: Any) -> float:
        test, inactive = (embed([c.text for c in contexts]) for contexts in (examples.test, examples.inactive))
        norms = np.linalg.norm(inactive, axis=1)[:, None] * np.linalg.norm(test, axis=1)
        return float((inactive @ test.T / np.maximum(norms, 1e-9)).max(axis=1).mean())

    for latent in (6, 8, 10):
        assert closeness(similar.examples(latent)) > closeness(random.examples(latent))


def test_order_of_similar_texts(cache: LatentCache, source: CacheSource) -> None:
    from saefari.interp.contexts.inactive_kinds import SimilarTexts
    from saefari.interp.contexts.windows import Windows

    rows = TokenRows(source.samples)
    kind = SimilarTexts(cache, [Windows(6)], 0, [rows], embed)
    generator = np.random.default_rng(0)
    places, vectors = kind._pool
    active = places[:3]
    order = kind.candidates(1, cache.of(1), active, generator)
    cosines = vectors @ vectors[:3].T
    best = {places[int(np.argsort(-cosines[:, k], kind="stable")[0])] for k in range(3)}
    assert set(order[: len(best)]) == best
    assert len(order) == len(places) == len({place.index for place in places})
    assert kind.candidates(1, cache.of(1), [], generator) == []


def test_missing_parts_are_errors(cache: LatentCache, source: CacheSource) -> None:
    with pytest.raises(ValueError, match="need `embed`"):
        sampler(cache, source, "embedding")
    with pytest.raises(ValueError, match="need `directions`"):
        sampler(cache, source, "decoder")


def test_images_are_not_compared_as_texts(tmp_path: Path) -> None:
    from tests.store.image_tree import ImageRow, write_images

    folder = write_images(tmp_path, [ImageRow(np.eye(2, dtype=np.float32), [0, 1])], (1, 2))
    source = CacheSource("shapes", folder.parents[1], folder)
    cache, rows = build_cache(tmp_path / "cache", [source]), {"shapes": TokenRows(source.samples)}
    with pytest.raises(DataError, match="embedding compares texts, and shapes has images"):
        inactive_kind("embedding", cache, SAMPLING, 0, rows, [0], embed=embed)
