"""Examples of a latent against the dense codes: disjoint sets, shares, inactivity, determinism."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saefari.config.explanation import Sampling
from saefari.errors import SaeError
from saefari.interp.cache.build import build_cache
from saefari.interp.contexts.examples import ExampleSampler
from saefari.interp.contexts.rows import TokenRows
from saefari.interp.records import Context, LatentExamples
from tests.interp.stored_split import random_codes, words_of, write_split_with_codes

D_SAE = 8
LABELS = ["ant", "bee", None]


def sampler_of(
    folder: Path, codes: list[np.ndarray], sampling: Sampling, seed: int = 0, parts: list[int] | None = None
) -> ExampleSampler:
    labels = [LABELS[i % 3] for i in range(len(codes))]
    source = write_split_with_codes(folder / "a", codes, labels, parts)
    cache = build_cache(folder / "cache", [source], segment_activations=100)
    return ExampleSampler(cache, sampling, seed, {"a": TokenRows(source.samples)})


def sets_of(examples: LatentExamples) -> list[tuple[Context, ...]]:
    return [examples.explain, examples.test, examples.inactive, examples.explain_inactive]


def as_text(examples: LatentExamples) -> str:
    return repr([[(c.row, c.start, c.tokens, c.activations.tolist()) for c in one] for one in sets_of(examples)])


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=30)
@given(
    seed=st.integers(0, 1000),
    n_rows=st.integers(1, 60),
    density=st.sampled_from([0.02, 0.2, 0.6]),
    window=st.integers(2, 14),
    centred=st.booleans(),
    explain=st.integers(1, 12),
    test=st.integers(2, 25),
    inactive=st.integers(2, 25),
)
def test_sets_are_disjoint_and_show_what_the_codes_say(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    n_rows: int,
    density: float,
    window: int,
    centred: bool,
    explain: int,
    test: int,
    inactive: int,
) -> None:
    codes = random_codes(n_rows, D_SAE, seed, density=density)
    sampling = Sampling(window=window, centred=centred, explain=explain, test=test, inactive=inactive)
    sampler = sampler_of(tmp_path_factory.mktemp("split"), codes, sampling, seed)
    for latent in range(D_SAE):
        examples = sampler.examples(latent)
        used = [context.row for contexts in sets_of(examples) for context in contexts]
        assert len(set(used)) == len(used)
        _check_contexts(examples, codes, latent, window, centred)
        _check_numbers(examples, codes, latent, sampling)


def _check_contexts(examples: LatentExamples, codes: list[np.ndarray], latent: int, window: int, centred: bool) -> None:
    for contexts, is_active in zip(sets_of(examples), (True, True, False, False), strict=True):
        for context in contexts:
            number = (context.row - 100) // 3
            row = codes[number][:, latent]
            stop = context.start + len(context.tokens)
            np.testing.assert_array_equal(context.activations, row[context.start : stop])
            assert context.activations.dtype == np.float32
            assert [token.strip() for token in context.tokens] == words_of(number, len(row))[context.start : stop]
            assert context.source == "a"
            assert context.label == LABELS[number % 3]
            assert len(context.tokens) <= window
            assert context.start % window == 0 or centred
            if is_active:
                assert context.peak == row.max()  # the row's strongest activation is in the window
            else:
                assert not context.activations.any()
    # As long as there are rows without any activation, only they are inactive contexts.
    clear = {100 + 3 * i for i, row in enumerate(codes) if len(row) and not row[:, latent].any()}
    chosen = {context.row for contexts in sets_of(examples)[2:] for context in contexts}
    assert chosen <= clear or clear <= chosen


def _check_numbers(examples: LatentExamples, codes: list[np.ndarray], latent: int, sampling: Sampling) -> None:
    peaks = {i: row[:, latent].max() for i, row in enumerate(codes) if row[:, latent].any()}
    n = len(peaks)
    assert examples.n_rows == n
    assert examples.n_activations == sum(int((row[:, latent] > 0).sum()) for row in codes)
    assert examples.density == pytest.approx(examples.n_activations / max(sum(map(len, codes)), 1))
    assert len(examples.explain) + len(examples.test) == min(n, sampling.explain + sampling.test)
    assert len(examples.explain) >= min(sampling.explain, n // 2)
    assert len(examples.test) >= min(sampling.test, n // 2)
    if n <= len(codes) // 3 and sampling.inactive + sampling.explain <= len([1 for row in codes if len(row)]) - n:
        assert (len(examples.inactive), len(examples.explain_inactive)) == (sampling.inactive, sampling.explain)
    assert len(examples.deciles) == len(examples.test)
    ordered = sorted(peaks.values())
    for context, decile in zip(examples.test, examples.deciles, strict=True):
        below, equal = sum(p < context.peak for p in ordered), ordered.count(context.peak)
        assert below * 10 // n + 1 <= decile <= (below + equal - 1) * 10 // n + 1
    counts = np.bincount(examples.deciles, minlength=11)[1:]
    available = np.asarray([sum(1 for rank in range(n) if rank * 10 // n == k) for k in range(10)]) if n else counts
    assert (counts.max() - counts[counts < available]).max(initial=0) <= 1


@pytest.fixture
def codes() -> list[np.ndarray]:
    return random_codes(400, D_SAE, seed=5)


SAMPLING = Sampling(window=6, explain=20, test=50, inactive=30)


def test_examples_depend_on_seed_and_latent_only(tmp_path: Path, codes: list[np.ndarray]) -> None:
    forwards = sampler_of(tmp_path, codes, SAMPLING)
    backwards = ExampleSampler(forwards.cache, SAMPLING, 0, {"a": TokenRows(tmp_path / "a")})
    other_seed = ExampleSampler(forwards.cache, SAMPLING, 1, {"a": TokenRows(tmp_path / "a")})
    first = {latent: as_text(forwards.examples(latent)) for latent in range(1, D_SAE)}
    assert {latent: as_text(backwards.examples(latent)) for latent in reversed(range(1, D_SAE))} == first
    assert as_text(other_seed.examples(2)) != first[2]


def test_other_segments_and_latents_of_the_cache_change_nothing(tmp_path: Path, codes: list[np.ndarray]) -> None:
    whole = sampler_of(tmp_path, codes, SAMPLING)
    rows = {"a": TokenRows(tmp_path / "a")}
    (source,) = [write_split_with_codes(tmp_path / "a", codes, [LABELS[i % 3] for i in range(400)], shard_rows=50)]
    part = build_cache(tmp_path / "part", [source], [3], segment_activations=37)
    assert as_text(ExampleSampler(part, SAMPLING, 0, rows).examples(3)) == as_text(whole.examples(3))


def test_each_decile_has_an_equal_share(tmp_path: Path, codes: list[np.ndarray]) -> None:
    examples = sampler_of(tmp_path, codes, SAMPLING).examples(1)
    assert np.bincount(examples.deciles).tolist() == [0] + [5] * 10
    assert (len(examples.explain), len(examples.inactive)) == (20, 30)
    peaks = [context.peak for context in examples.test]
    assert peaks == sorted(peaks, reverse=True)
    assert sum(a for a, _ in examples.class_rows.values()) < examples.n_rows  # a third has no label
    assert [b for _, b in examples.class_rows.values()] == [134, 133]


def test_only_training_rows_are_shown(tmp_path: Path, codes: list[np.ndarray]) -> None:
    parts = [0 if i % 2 else 1 for i in range(400)]
    sampler = sampler_of(tmp_path, codes, SAMPLING, parts=parts)
    for latent in (1, 5):
        rows = {context.row for contexts in sets_of(sampler.examples(latent)) for context in contexts}
        assert all(((row - 100) // 3) % 2 for row in rows)
    assert [row.row for row in sampler.iter_rows()] == [100 + 3 * i for i in range(1, 400, 2)]


def test_a_dead_latent_has_only_inactive_contexts(tmp_path: Path, codes: list[np.ndarray]) -> None:
    examples = sampler_of(tmp_path, codes, SAMPLING).examples(0)
    assert (examples.explain, examples.test, examples.n_rows) == ((), (), 0)
    assert len(examples.inactive) == 30


def test_the_strongest_can_be_chosen(tmp_path: Path, codes: list[np.ndarray]) -> None:
    sampling = SAMPLING.model_copy(update={"explain_strategy": {"top": 1.0}})
    examples = sampler_of(tmp_path, codes, sampling).examples(1)
    tested = {context.row for context in examples.test}
    peaks = sorted((c[:, 1].max() for i, c in enumerate(codes) if c[:, 1].any() and 100 + 3 * i not in tested))
    assert [context.peak for context in examples.explain] == peaks[::-1][:20]


def test_unknown_latent_and_missing_rows_are_errors(tmp_path: Path, codes: list[np.ndarray]) -> None:
    sampler = sampler_of(tmp_path, codes, SAMPLING)
    with pytest.raises(SaeError, match="latent 8 does not exist"):
        sampler.examples(8)
    with pytest.raises(ValueError, match="no rows are given for a"):
        ExampleSampler(sampler.cache, SAMPLING, 0, {})
