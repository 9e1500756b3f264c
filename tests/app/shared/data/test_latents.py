"""Statistics of latents agree with a dense matrix of the same codes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.pages.latents.data.table import filtered, latent_table
from app.shared.data.codes import CodeSet
from app.shared.data.latents import firing as firing_module
from app.shared.data.latents import summary as summary_module
from app.shared.data.latents.contexts import N_TOP, decile_contexts, strongest_contexts, top_tokens
from app.shared.data.latents.firing import densities, firing
from app.shared.data.latents.summary import LEAST_ROWS, Facts, class_association, facts, summary
from app.shared.data.saes import Sae
from app.shared.data.tree import Index, OutputTree
from saefari.errors import StoreError
from saefari.store import write_json
from tests.app.latent_tree import write_codes

D_SAE, N_ROWS = 12, 90
DEAD = 11


@pytest.fixture(scope="module")
def dense() -> np.ndarray:
    """[n_positions, D_SAE]; latent 0 fires only in class b, latent DEAD never."""
    random = np.random.default_rng(0)
    codes = np.where(random.random((N_ROWS * 4, D_SAE)) < 0.2, random.gamma(2, 1, (N_ROWS * 4, D_SAE)) + 0.01, 0)
    codes = codes.astype(np.float16).astype(np.float32)
    codes[np.repeat(np.arange(N_ROWS) % 3 != 1, 4), 0] = 0
    codes[:, DEAD] = 0
    return codes


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory, dense: np.ndarray) -> Path:
    path = tmp_path_factory.mktemp("latents")
    write_codes(path, dense, [4] * N_ROWS, ["abc"[i % 3] for i in range(N_ROWS)], shard_rows=32)
    return path


@pytest.fixture(scope="module")
def index(output: Path) -> Index:
    return OutputTree(output).index()


@pytest.fixture(scope="module")
def sae(index: Index) -> Sae:
    return next(iter(index.saes.values()))


@pytest.fixture(scope="module")
def codes(sae: Sae) -> CodeSet:
    return sae.code_sets[0]


def test_densities_and_activations_are_those_of_the_dense_codes(codes: CodeSet, dense: np.ndarray) -> None:
    assert densities(codes).values == pytest.approx((dense > 0).mean(axis=0))
    activations = firing(codes)
    assert (activations.n_rows, activations.total_rows) == (N_ROWS, N_ROWS)
    for latent in range(D_SAE):
        positions, values = activations.of(latent)
        assert positions.tolist() == np.flatnonzero(dense[:, latent]).tolist()
        assert values == pytest.approx(dense[dense[:, latent] > 0, latent])


def test_part_of_a_large_code_set_is_read(codes: CodeSet, dense: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firing_module, "MOST_ACTIVATIONS", 150)
    activations = firing_module._read_firing(codes)
    assert len(activations.values) <= 150
    assert 0 < activations.n_rows < activations.total_rows == N_ROWS
    assert {int(row) // 10 // 32 for row in activations.rows} == {0, 1, 2}, "every shard should be looked into"
    read = np.concatenate([np.arange(4) + 4 * (row // 10) for row in activations.rows])
    assert activations.of(3)[1] == pytest.approx(dense[read][dense[read, 3] > 0, 3])


def test_summary_counts_rows_not_positions(codes: CodeSet, dense: np.ndarray) -> None:
    known = summary(codes)
    fires = (dense.reshape(N_ROWS, 4, D_SAE) > 0).any(axis=1)
    assert known.rows_fired.tolist() == fires.sum(axis=0).tolist()
    assert known.fired is not None
    for k, name in enumerate("abc"):
        assert known.classes[k] == name
        assert known.fired[:, k].tolist() == fires[k::3].sum(axis=0).tolist()
    assert known.largest == pytest.approx(dense.max(axis=0))


def test_lift_is_the_share_in_a_class_over_the_share_in_all(codes: CodeSet) -> None:
    table = class_association(codes, 0)
    assert table["class"][0] == "b"
    assert table["lift"][0] == pytest.approx(3)
    assert table["fires"].tolist()[1:] == [0, 0]
    assert class_association(codes, DEAD)["lift"].isna().all()


def test_lift_in_a_part_is_over_the_rows_that_were_read(
    codes: CodeSet, dense: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firing_module, "MOST_ACTIVATIONS", 300)
    known = summary_module._summary(firing_module._read_firing(codes))
    read = firing_module._read_firing(codes).rows // 10
    assert 0 < len(read) < N_ROWS
    fires = (dense.reshape(N_ROWS, 4, D_SAE) > 0).any(axis=1)[read][:, :DEAD]
    shares = np.stack([fires[read % 3 == k].mean(axis=0) for k in range(3)], axis=1)
    np.testing.assert_allclose(known.lift()[:DEAD], shares / fires.mean(axis=0)[:, None])


def test_a_class_needs_enough_rows_to_be_a_latents_class(
    sae: Sae, codes: CodeSet, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = latent_table(sae, codes, index).iloc[0]
    assert row.rows_fired >= LEAST_ROWS
    assert row.top_class == "b"
    monkeypatch.setattr("app.pages.latents.data.table.LEAST_ROWS", int(row.rows_fired) + 1)
    unsure = latent_table(sae, codes, index).iloc[0]
    assert unsure.top_class == ""
    assert np.isnan(unsure.lift)


def test_contexts_are_the_strongest_rows_each_once(codes: CodeSet, dense: np.ndarray) -> None:
    found = strongest_contexts(firing(codes), codes.samples, 2)
    peaks = dense.reshape(N_ROWS, 4, D_SAE)[:, :, 2].max(axis=1)
    assert len({one.sample["row"] for one in found}) == len(found) == N_TOP
    assert [one.peak for one in found] == pytest.approx(np.sort(peaks)[::-1][:N_TOP].tolist())
    for one in found:
        place = one.sample["row"] // 10
        assert one.values == pytest.approx(dense[4 * place : 4 * place + 4, 2])
        assert one.sample["text"].startswith(f"w{place}_0")


def test_deciles_are_ordered_from_strong_to_weak_and_reproducible(codes: CodeSet) -> None:
    activations = firing(codes)
    each = decile_contexts(activations, codes.samples, 2, 1)
    peaks = [part[0].peak for part in each]
    assert len(peaks) == 10
    assert peaks == sorted(peaks, reverse=True)
    again = decile_contexts(activations, codes.samples, 2, 1)
    assert [part[0].sample["row"] for part in again] == [part[0].sample["row"] for part in each]
    (weakest,) = decile_contexts(activations, codes.samples, 2, 3, decile=1)
    assert all(one.peak <= peaks[8] for one in weakest)


def test_top_tokens_are_read_off_the_text(codes: CodeSet, dense: np.ndarray) -> None:
    (found,) = top_tokens(firing(codes), codes.samples, [4], most_activations=1).values()
    row, position = divmod(int(dense[:, 4].argmax()), 4)
    assert [one.text for one in found] == [f"w{row}_{position}"]
    assert found[0].mean == pytest.approx(dense[:, 4].max())


def test_unknown_facts_of_tooltips_are_empty(sae: Sae, dense: np.ndarray) -> None:
    found = facts(sae.code_sets[0], [1, DEAD, 999])
    assert found[1].density == pytest.approx((dense[:, 1] > 0).mean())
    assert len(found[1].tokens) == 5
    assert (found[DEAD].density, found[DEAD].tokens) == (0, ())
    assert found[999] == facts(None, [1])[1] == Facts()


def test_latents_are_filtered_by_words_state_and_class(tmp_path: Path, dense: np.ndarray) -> None:
    write_codes(tmp_path, dense, [4] * N_ROWS, ["abc"[i % 3] for i in range(N_ROWS)], shard_rows=32)
    index = OutputTree(tmp_path).index()
    one = next(iter(index.saes.values()))
    write_json(one.explanations / "5.json", {"explanation": "Names of <b>dogs</b>", "scores": {"detection": 0.75}})
    write_json(one.explanations / "999.json", {"explanation": "of a wider SAE", "scores": {}})
    table = latent_table(one, one.code_sets[0], index)
    assert len(table) == D_SAE
    assert table["score: detection"][5] == 0.75
    assert filtered(table, "dogs NAMES", "all", "")["latent"].tolist() == [5]
    assert filtered(table, "", "dead", "")["latent"].tolist() == [DEAD]
    assert filtered(table, "", "explained", "")["latent"].tolist() == [5]
    assert len(filtered(table, "", "alive", "")) == D_SAE - 1
    assert 0 in filtered(table, "", "all", "B")["latent"].tolist()
    doubtful = {"embedding": {"value": 0.5, "controls": {"shuffled": {"value": 0.5}}}}
    write_json(one.explanations / "6.json", {"explanation": "Fires on cats", "name": "felines", "scores": doubtful})
    table = latent_table(one, one.code_sets[0], index)
    assert table.loc[6, ["name", "explanation", "doubtful"]].tolist() == ["felines", "Fires on cats", True]
    assert table["score"].tolist()[4:7] == ["", "detection 0.75", "embedding 0.50, not above its controls"]
    assert filtered(table, "FELINES cats", "all", "")["latent"].tolist() == [6]


def test_a_broken_shard_is_a_store_error(tmp_path: Path, dense: np.ndarray) -> None:
    folder = write_codes(tmp_path, dense, [4] * N_ROWS, [None] * N_ROWS, shard_rows=32)
    code_set = next(iter(OutputTree(tmp_path).index().code_sets.values()))
    assert class_association(code_set, 0).empty, "rows without labels have no classes"
    whole = (folder / "shard-00001.npz").read_bytes()
    (folder / "shard-00001.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match="cannot be read"):
        firing_module._read_firing(code_set)
    with pytest.raises(StoreError, match="cannot be read"):
        firing_module._read_densities(code_set)
