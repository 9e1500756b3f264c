"""Training on a tiny model: it learns, it repeats, it leaves nothing half-done."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sae_lens import SAE

from saefari.config import SaeTraining
from saefari.errors import ConflictError, SaeError
from saefari.models.forward import Forward
from saefari.models.hooks import HookPoint
from saefari.models.text import TextModel
from saefari.saes.encode import encode
from saefari.saes.load import load_sae
from saefari.saes.quality import Quality
from saefari.saes.ref import SaeRef
from saefari.store import TokenisedRow
from saefari.train import sae as sae_module
from saefari.train import save as save_module
from saefari.train.activations import stream_activations
from saefari.train.sae import SaeJob, is_trained, train_saes

Rows = Callable[[], Iterator[TokenisedRow]]


def make_job(folder: Path, layer: int = 1, width: str = "64", **training: Any) -> SaeJob:
    default = {} if "architecture" in training else {"k": 4}
    options = default | {"n_positions": 20_000, "batch_size": 256, "buffer_size": 2048, "lr": 3e-3} | training
    section = SaeTraining(**options)
    hook = HookPoint(layer, "resid_post")
    return SaeJob(layer, width, section, hook, folder / f"layer_{layer}" / width, section.model_dump())


def train(model: TextModel, rows: Rows, *jobs: SaeJob, seed: int = 0, **more: Any) -> None:
    train_saes(model, rows, jobs, seed, 512, **more)


def quality_of(job: SaeJob) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((job.folder / "quality.json").read_text())
    return record


ARCHITECTURES: dict[str, dict[str, Any]] = {
    "batchtopk": {"k": 8},
    "matryoshka_batchtopk": {"k": 8},
    "topk": {"k": 8},
    "standard": {"l1_coefficient": 0.05},
    "gated": {"l1_coefficient": 0.05},
    "jumprelu": {"l0_coefficient": 0.01},
    "jumprelu with target_l0": {"target_l0": 8},
}
"""Options with which each architecture learns the tiny model's states; the first word is its name."""


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_each_architecture_learns_and_loads(tiny_model: TextModel, token_rows: Rows, tmp_path: Path, name: str) -> None:
    options = {"architecture": name.split()[0], **ARCHITECTURES[name]}
    job = make_job(tmp_path, **options)
    untrained = make_job(tmp_path / "untrained", **(options | {"n_positions": 256, "lr": 1e-9}))
    train(tiny_model, token_rows, job)
    train(tiny_model, token_rows, untrained)
    assert quality_of(job)["fvu"] < 0.5
    assert quality_of(job)["fvu"] < 0.6 * quality_of(untrained)["fvu"]
    loaded = load_sae(SaeRef(1, "64", path=str(job.folder)))
    assert (loaded.d_in, loaded.d_sae, loaded.hook) == (32, 64, HookPoint(1, "resid_post"))
    assert loaded.sae.W_dec.norm(dim=1).numpy() == pytest.approx(np.ones(64), rel=1e-4)
    assert fvu_in_sae_lens(job, states(tiny_model, token_rows, job)) == pytest.approx(quality_of(job)["fvu"], rel=0.1)


def states(model: TextModel, rows: Rows, job: SaeJob) -> torch.Tensor:
    """Hidden states [n, d_in] at the job's hook point, of one forward pass."""
    return next(stream_activations(Forward(model, 4096), rows, [job.hook]))[job.hook].clone()


@torch.no_grad()
def fvu_in_sae_lens(job: SaeJob, hidden: torch.Tensor) -> float:
    """FVU of the saved SAE over `hidden` [n, d_in], by sae-lens alone."""
    sae = SAE.load_from_disk(str(job.folder))
    return float((sae(hidden) - hidden).square().sum() / (hidden - hidden.mean(dim=0)).square().sum())


def test_recorded_quality_is_that_of_the_saved_sae(tiny_model: TextModel, token_rows: Rows, tmp_path: Path) -> None:
    job = make_job(tmp_path)
    train(tiny_model, token_rows, job)
    loaded = load_sae(SaeRef(1, "64", path=str(job.folder)))
    hidden = states(tiny_model, token_rows, job)
    measured = Quality.measure(loaded, hidden, encode(loaded, hidden)).summary()
    recorded = quality_of(job)
    assert measured["fvu"] == pytest.approx(fvu_in_sae_lens(job, hidden), rel=1e-4)
    assert measured["fvu"] == pytest.approx(recorded["fvu"], rel=0.1)
    assert measured["l0"] == pytest.approx(recorded["l0"], rel=0.1)
    assert recorded["l0"] == pytest.approx(4, rel=0.15)
    density = np.load(job.folder / "density.npz", allow_pickle=False)
    assert density["counts"].sum() / density["n_positions"] == pytest.approx(recorded["l0"])


def test_jobs_share_forward_passes(
    tiny_model: TextModel, token_rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    original = tiny_model.capture
    monkeypatch.setattr(tiny_model, "capture", lambda ids, hooks: calls.append(len(hooks)) or original(ids, hooks))
    one = make_job(tmp_path / "one", layer=0, n_positions=5000)
    train(tiny_model, token_rows, one)
    alone, calls[:] = len(calls), []
    jobs = [make_job(tmp_path, layer, width, n_positions=5000) for layer in (0, 2) for width in ("32", "64")]
    train(tiny_model, token_rows, *jobs)
    assert len(calls) == alone
    assert set(calls) == {2}
    assert [load_sae(SaeRef(j.layer, j.width, path=str(j.folder))).d_sae for j in jobs] == [32, 64, 32, 64]


def test_a_seed_fixes_every_file(tiny_model: TextModel, token_rows: Rows, tmp_path: Path) -> None:
    first, again, other = (make_job(tmp_path / name, n_positions=3000) for name in ("first", "again", "other"))
    train(tiny_model, token_rows, first)
    torch.rand(3)
    train(tiny_model, token_rows, again)
    train(tiny_model, token_rows, other, seed=1)
    files = sorted(file.name for file in first.folder.iterdir())
    assert files == ["cfg.json", "density.npz", "quality.json", "sae_weights.safetensors"]
    for name in files:
        assert (first.folder / name).read_bytes() == (again.folder / name).read_bytes()
    weights = "sae_weights.safetensors"
    assert (first.folder / weights).read_bytes() != (other.folder / weights).read_bytes()


def test_callers_random_state_is_left_alone(tiny_model: TextModel, token_rows: Rows, tmp_path: Path) -> None:
    state = torch.get_rng_state()
    train(tiny_model, token_rows, make_job(tmp_path, n_positions=1000))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_trained_sae_is_reused_and_other_settings_conflict(
    tiny_model: TextModel, token_rows: Rows, tmp_path: Path
) -> None:
    job = make_job(tmp_path, n_positions=1000)
    assert not is_trained(job)
    train(tiny_model, token_rows, job)
    assert is_trained(job)
    written = (job.folder / "quality.json").stat().st_mtime_ns
    train(tiny_model, token_rows, job)
    assert (job.folder / "quality.json").stat().st_mtime_ns == written
    with pytest.raises(ConflictError, match=r"k: 4 there, 8 now"):
        is_trained(make_job(tmp_path, n_positions=1000, k=8))


def test_interruption_leaves_no_folder(
    tiny_model: TextModel, token_rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(tmp_path, n_positions=1000)

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(save_module, "write_json", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_model, token_rows, job)
    assert list(job.folder.parent.iterdir()) == []
    monkeypatch.undo()
    job.folder.with_name(f".{job.folder.name}.partial").mkdir()
    train(tiny_model, token_rows, job)
    assert [path.name for path in job.folder.parent.iterdir()] == [job.folder.name]


def test_progress_adds_up_to_the_positions_asked_for(tiny_model: TextModel, token_rows: Rows, tmp_path: Path) -> None:
    told: list[int] = []
    train(tiny_model, token_rows, make_job(tmp_path, n_positions=1000), progress=told.append)
    assert told == [256, 256, 256, 232]


def test_files_name_no_place_on_this_machine(tiny_model: TextModel, token_rows: Rows, tmp_path: Path) -> None:
    job = make_job(tmp_path, n_positions=1000)
    train(tiny_model, token_rows, job)
    for name in ("cfg.json", "quality.json"):
        assert str(tmp_path) not in (job.folder / name).read_text()


def test_more_active_latents_than_latents_are_refused(tiny_model: TextModel, token_rows: Rows, tmp_path: Path) -> None:
    with pytest.raises(SaeError, match="k = 100 is more than the 64 latents of width '64'"):
        train(tiny_model, token_rows, make_job(tmp_path, k=100))


def test_texts_shorter_than_a_batch_are_refused(tiny_model: TextModel, token_rows: Rows, tmp_path: Path) -> None:
    with pytest.raises(SaeError, match=r"hold \d+ positions, fewer than one batch"):
        train(tiny_model, token_rows, make_job(tmp_path, batch_size=100_000))


def test_divergence_is_said_with_the_step(
    tiny_model: TextModel, token_rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = sae_module.shuffled_batches

    def broken(*arguments: Any) -> Iterator[dict[HookPoint, torch.Tensor]]:
        for step, batch in enumerate(batches(*arguments)):
            yield {hook: part * (float("nan") if step == 2 else 1) for hook, part in batch.items()}

    monkeypatch.setattr(sae_module, "shuffled_batches", broken)
    job = make_job(tmp_path)
    with pytest.raises(SaeError, match=r"'64' of layer 1 diverged at step 3.*sae_train\.lr"):
        train(tiny_model, token_rows, job)
    assert not job.folder.exists()
