"""A latent cache against a dense reference, and its resume after a stop, damage and other settings."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saefari.errors import ConflictError, DataError, SaeError, StoreError
from saefari.interp.cache import build
from saefari.interp.cache.build import CacheSource, build_cache
from saefari.interp.cache.latent_cache import LatentCache
from saefari.store.latent_cache import CacheRecord
from tests.interp.stored_split import random_codes, write_split_with_codes

D_SAE = 9
LABELS = ["ant", "bee", None]


def check(cache: LatentCache, sources: list[tuple[str, list[np.ndarray], list[int], list[Any], int]]) -> None:
    """Compare a cache with dense codes. sources: (name, codes per row, training rows, labels, first dataset row)."""
    kept = [(s, i) for s, (_, _, training, _, _) in enumerate(sources) for i in training]
    assert cache.sources == tuple(name for name, *_ in sources)
    assert cache.rows.source.tolist() == [s for s, _ in kept]
    assert cache.rows.row.tolist() == [sources[s][4] + 3 * i for s, i in kept]
    codes = [sources[s][1][i] for s, i in kept]
    assert cache.rows.lengths.tolist() == [len(one) for one in codes]
    assert cache.n_positions == sum(map(len, codes))
    labels = [sources[s][3][i] for s, i in kept]
    for latent in range(cache.d_sae):
        active = [(k, p, float(v)) for k, one in enumerate(codes) for p, v in enumerate(one[:, latent]) if v > 0]
        in_rows = {k for k, _, _ in active}
        assert cache.counts[latent] == len(active)
        assert cache.row_counts[latent] == len(in_rows)
        if not cache.is_kept[latent]:
            continue
        found = cache.of(latent)
        assert list(zip(found.index.tolist(), found.position.tolist(), found.value.tolist(), strict=True)) == active
        assert found.row.tolist() == [cache.rows.row[k] for k, _, _ in active]
        assert found.source.tolist() == [cache.rows.source[k] for k, _, _ in active]
        assert found.active_rows.tolist() == sorted(in_rows)
        peaks = {k: max(v for j, _, v in active if j == k) for k in in_rows}
        first = {k: next(p for j, p, v in active if j == k and v == peaks[k]) for k in in_rows}
        assert found.position[found.strongest].tolist() == [first[k] for k in sorted(in_rows)]
        assert found.value[found.strongest].tolist() == [peaks[k] for k in sorted(in_rows)]
        assert cache.class_rows(found) == {
            name: (sum(labels[k] == name for k in in_rows), labels.count(name))
            for name in sorted({label for label in labels if label})
        }
    np.testing.assert_allclose(cache.density, cache.counts / max(cache.n_positions, 1))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    n_rows=st.integers(1, 40),
    shard_rows=st.integers(1, 15),
    most=st.sampled_from([1, 10, 60, 10_000]),
    has_split=st.booleans(),
    latents=st.none() | st.sets(st.integers(0, D_SAE - 1)),
)
def test_equals_the_dense_codes(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    n_rows: int,
    shard_rows: int,
    most: int,
    has_split: bool,
    latents: set[int] | None,
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    codes = random_codes(n_rows, D_SAE, seed)
    generator = np.random.default_rng(seed)
    parts = [0, *generator.integers(-1, 2, n_rows - 1).tolist()] if has_split else None
    training = [i for i in range(n_rows) if parts is None or parts[i] == 0]
    labels = [LABELS[i % 3] for i in range(n_rows)]
    source = write_split_with_codes(folder / "a", codes, labels, parts, shard_rows)
    cache = build_cache(folder / "cache", [source], latents, segment_activations=most)
    assert cache.is_kept.tolist() == [latents is None or latent in latents for latent in range(D_SAE)]
    check(cache, [("a", codes, training, labels, 100)])
    record = CacheRecord.load(folder / "cache")
    assert record is not None
    in_row = [int((one > 0).sum()) if i in training else 0 for i, one in enumerate(codes)]
    for segment, following in zip(record.segments, [*record.segments[1:], None], strict=True):
        active = sum(in_row[segment.start : segment.stop])
        assert active <= most or segment.stop == segment.start + 1
        assert following is None or active + in_row[following.start] > most
    assert sum(segment.activations for segment in record.segments) == int(cache.counts[cache.is_kept].sum())


@pytest.fixture
def sources(tmp_path: Path) -> list[CacheSource]:
    return [
        write_split_with_codes(tmp_path / name, random_codes(30, D_SAE, seed), first=first)
        for seed, (name, first) in enumerate([("a", 100), ("b", 5)])
    ]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_several_sources_of_one_sae(tmp_path: Path, sources: list[CacheSource], order: tuple[int, int]) -> None:
    build_cache(tmp_path / "cache", sources, segment_activations=50)
    cache = build_cache(tmp_path / "cache", [sources[i] for i in order], segment_activations=50)
    rows = [random_codes(30, D_SAE, seed) for seed in (0, 1)]
    check(cache, [("a", rows[0], list(range(30)), [None] * 30, 100), ("b", rows[1], list(range(30)), [None] * 30, 5)])
    assert cache.classes == ()


def test_latents_with_too_few_rows_are_listed(tmp_path: Path, sources: list[CacheSource]) -> None:
    cache = build_cache(tmp_path / "cache", sources, latents=[3, 4])
    limit = int(np.median(cache.row_counts))
    expected = [(latent, int(n)) for latent, n in enumerate(cache.row_counts) if n < limit]
    assert cache.too_few(range(D_SAE), limit) == expected
    assert (0, 0) in expected
    assert len(expected) < D_SAE


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_resume_after_a_failure_between_segments(
    tmp_path: Path, sources: list[CacheSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    build_cache(tmp_path / "whole", sources, segment_activations=50)
    write, written = build.write_segment, []

    def failing(*arguments: Any) -> Any:
        if len(written) == 4:
            raise KeyboardInterrupt
        written.append(arguments[1])
        return write(*arguments)

    monkeypatch.setattr(build, "write_segment", failing)
    with pytest.raises(KeyboardInterrupt):
        build_cache(tmp_path / "cache", sources, segment_activations=50)
    with pytest.raises(StoreError, match="unfinished"):
        LatentCache.open(tmp_path / "cache")
    monkeypatch.setattr(build, "write_segment", lambda *a: (written.append(a[1]), write(*a))[1])
    build_cache(tmp_path / "cache", sources, segment_activations=50)
    assert written == list(range(len(written)))  # the first four were not written again
    assert contents(tmp_path / "cache") == contents(tmp_path / "whole")


_KILLED = """
import os, signal, sys
from pathlib import Path
from saefari.interp.cache import build
from saefari.store import latent_cache
folder, samples = Path(sys.argv[1]), Path(sys.argv[2])
write = latent_cache.atomic_write
def killing(path):
    if "00003" in path.name:
        (path.parent / f".{path.name}.tmp").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    return write(path)
latent_cache.atomic_write = killing
source = build.CacheSource("a", samples, samples / "layer_1" / "8")
build.build_cache(folder, [source], segment_activations=50)
"""


def test_resume_after_a_kill(tmp_path: Path, sources: list[CacheSource]) -> None:
    build_cache(tmp_path / "whole", sources[:1], segment_activations=50)
    command = [sys.executable, "-c", _KILLED, str(tmp_path / "cache"), str(sources[0].samples)]
    assert subprocess.run(command, env=os.environ, check=False, capture_output=True).returncode == -signal.SIGKILL
    assert not (tmp_path / "cache" / "segment-00003.safetensors").exists()
    build_cache(tmp_path / "cache", sources[:1], segment_activations=50)
    assert contents(tmp_path / "cache") == contents(tmp_path / "whole")


def test_nothing_is_written_again(tmp_path: Path, sources: list[CacheSource], monkeypatch: pytest.MonkeyPatch) -> None:
    build_cache(tmp_path / "cache", sources, segment_activations=50)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}
    build_cache(tmp_path / "cache", sources, segment_activations=50)
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()} == before


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_a_damaged_segment_is_written_again(tmp_path: Path, sources: list[CacheSource], damage: str) -> None:
    build_cache(tmp_path / "cache", sources, segment_activations=50)
    whole = contents(tmp_path / "cache")
    path = tmp_path / "cache" / "segment-00002.safetensors"
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[-1] ^= 1
    path.write_bytes(data if damage == "flip" else data[:-9])
    if damage == "remove":
        path.unlink()
    if damage != "flip":  # a hash is too slow for every opening
        with pytest.raises(StoreError, match=r"segment-00002.*build the cache again"):
            LatentCache.open(tmp_path / "cache")
    build_cache(tmp_path / "cache", sources, segment_activations=50)
    assert contents(tmp_path / "cache") == whole


def test_other_settings_are_refused(tmp_path: Path, sources: list[CacheSource]) -> None:
    folder = tmp_path / "cache"
    build_cache(folder, sources, segment_activations=50)
    with pytest.raises(ConflictError, match="segment_activations: 50 -> 60"):
        build_cache(folder, sources, segment_activations=60)
    with pytest.raises(ConflictError, match="latents: None -> "):
        build_cache(folder, sources, [1], segment_activations=50)
    with pytest.raises(ConflictError, match=r"sources\.b"):
        build_cache(folder, sources[:1], segment_activations=50)
    write_split_with_codes(tmp_path / "a", random_codes(30, D_SAE, 7))
    with pytest.raises(ConflictError, match=r"sources\.a"):
        build_cache(folder, sources, segment_activations=50)
    cache = build_cache(folder, sources[:1], [2, 1], overwrite=True, segment_activations=10_000)
    check(cache, [("a", random_codes(30, D_SAE, 7), list(range(30)), [None] * 30, 100)])
    assert sorted(path.name for path in folder.iterdir()) == ["cache.json", "segment-00000.safetensors"]


def test_stored_files_hold_no_path(tmp_path: Path, sources: list[CacheSource]) -> None:
    build_cache(tmp_path / "cache", sources)
    assert not any(str(tmp_path).encode() in data for data in contents(tmp_path / "cache").values())


def test_mistakes_are_errors(tmp_path: Path, sources: list[CacheSource]) -> None:
    other = write_split_with_codes(tmp_path / "c", random_codes(5, D_SAE), facts={"weights_sha256": "other"})
    with pytest.raises(SaeError, match="different SAEs"):
        build_cache(tmp_path / "cache", [sources[0], other])
    with pytest.raises(SaeError, match="latent 9 does not exist: the SAE has latents 0 to 8"):
        build_cache(tmp_path / "cache", sources, [3, 9])
    tested = write_split_with_codes(tmp_path / "d", random_codes(3, D_SAE), parts=[1, -1, 1])
    with pytest.raises(DataError, match="no training row"):
        build_cache(tmp_path / "cache", [tested])
    with pytest.raises(StoreError, match="other samples"):
        build_cache(tmp_path / "cache", [CacheSource("a", sources[1].samples, sources[0].codes)])
    with pytest.raises(StoreError, match="holds no latent cache"):
        LatentCache.open(tmp_path / "cache")
    cache = build_cache(tmp_path / "cache", sources, [3])
    with pytest.raises(SaeError, match="latent 4 is not among the 1 latents kept"):
        cache.of(4)
    with pytest.raises(SaeError, match="latent -1 does not exist"):
        cache.of(-1)


def test_values_beyond_float16_keep_their_precision(tmp_path: Path) -> None:
    codes = [np.asarray([[0, 70_000.0], [0, 1e-6]], dtype=np.float32)]
    cache = build_cache(tmp_path / "cache", [write_split_with_codes(tmp_path / "a", codes)])
    assert cache.of(1).value.tolist() == codes[0][:, 1].tolist()
