"""The training loop: every architecture learns; results are reproducible and independent of interruptions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from saefari.errors import ConflictError, SaeError
from saefari.train.activation_sources import Block, Cursor, ModelActivations
from saefari.train.checkpoint import Checkpoint
from saefari.train.curves import Figures
from saefari.train.job import SaeJob
from saefari.train.sae_fit import SaeFit
from saefari.train.training_loop import train_saes

CPU = torch.device("cpu")
MakeJob = Callable[..., SaeJob]
MakeSource = Callable[..., ModelActivations]

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "batchtopk": {"k": 8},
    "matryoshka_batchtopk": {"k": 8},
    "topk": {"k": 8},
    "standard": {"l1_coefficient": 0.05},
    "standard with resampling": {"l1_coefficient": 0.5, "resample": {"every": 0.1, "until": 0.5}},
    "gated": {"l1_coefficient": 0.05},
    "jumprelu": {"l0_coefficient": 0.01},
    "jumprelu with target_l0": {"target_l0": 8, "n_positions": 60_000},
    "topk without normalisation": {"k": 8, "normalize_activations": "none"},
    "topk with layer_norm": {"k": 8, "normalize_activations": "layer_norm"},
    "topk with constant_norm_rescale": {"k": 8, "normalize_activations": "constant_norm_rescale"},
}
"""Options with which each architecture learns the tiny model's states, by architecture."""


def options(name: str) -> dict[str, Any]:
    return {"architecture": name.split()[0], **ARCHITECTURES[name]}


def weights(fit: SaeFit) -> dict[str, torch.Tensor]:
    return {name: x.clone() for name, x in fit.trainer.sae.state_dict().items()}


def same(one: SaeFit, other: SaeFit) -> bool:
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_each_architecture_learns(source: MakeSource, make_job: MakeJob, tmp_path: Path, name: str) -> None:
    (fit,) = train_saes(source(), [make_job(tmp_path, **options(name))], 0, CPU)
    curves = fit.curves
    assert fit.failure is None
    assert curves.fvu[-1] < (0.5 if "l1_coefficient" not in ARCHITECTURES[name] else 0.95)
    assert curves.fvu[-1] < 0.8 * curves.fvu[0]
    assert curves.mse[-1] < 0.8 * curves.mse[0]
    assert curves.positions[-1] == fit.trainer.n_training_steps * 256
    if "k" in ARCHITECTURES[name] or "target_l0" in ARCHITECTURES[name]:
        assert curves.l0[-1] == pytest.approx(8, rel=0.15)


def test_jobs_share_forward_passes(
    source: MakeSource, make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    model = source().forward.model
    original = model.capture
    monkeypatch.setattr(model, "capture", lambda ids, hooks: calls.append(len(hooks)) or original(ids, hooks))
    (alone,) = train_saes(source(0), [make_job(tmp_path, layer=0, n_positions=5000)], 0, CPU)
    once, calls[:] = len(calls), []
    jobs = [make_job(tmp_path, layer, width, n_positions=5000) for layer in (0, 2) for width in ("32", "64")]
    jobs.append(make_job(tmp_path, 2, "other", n_positions=5000, architecture="jumprelu", target_l0=4, d_sae=48))
    together = train_saes(source(0, 2), jobs, 0, CPU)
    assert len(calls) == once
    assert set(calls) == {2}
    assert [fit.trainer.sae.cfg.d_sae for fit in together] == [32, 64, 32, 64, 48]
    assert same(alone, together[1])  # an SAE does not depend on the others trained with it


def test_results_depend_on_the_seed_not_on_the_callers_random_state(
    source: MakeSource, make_job: MakeJob, tmp_path: Path
) -> None:
    job = make_job(tmp_path, n_positions=3000)
    state = torch.get_rng_state()
    (first,) = train_saes(source(), [job], 0, CPU)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)
    (again,), (other,) = train_saes(source(), [job], 0, CPU), train_saes(source(), [job], 1, CPU)
    assert same(first, again)
    assert not same(first, other)


class Killed(Exception):
    pass


def train_killed_at(steps: list[int], source: ModelActivations, jobs: list[SaeJob], folder: Path) -> list[SaeFit]:
    """Train with a checkpoint after every step, interrupt after each of these steps, then finish."""
    for step in [*steps, 0]:

        def on_step(positions: int, figures: dict[str, Figures], stop: int = step) -> None:
            if stop and positions == stop * 256:
                raise Killed

        try:
            return train_saes(source, jobs, 0, CPU, Checkpoint(folder, 0.0), on_step)
        except Killed:
            pass
    raise AssertionError


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if "norm" not in name])
def test_a_resumed_training_gives_the_same_saes(
    source: MakeSource, make_job: MakeJob, tmp_path: Path, name: str
) -> None:
    jobs = [make_job(tmp_path, **(options(name) | {"n_positions": 6000}))]
    (uninterrupted,) = train_saes(source(), jobs, 0, CPU)
    (again,) = train_killed_at([4, 5, 11, 19], source(), jobs, tmp_path / "checkpoint")
    assert same(uninterrupted, again)
    assert uninterrupted.curves.fvu == again.curves.fvu
    assert uninterrupted.trainer.n_training_samples == again.trainer.n_training_samples


def test_a_checkpoint_of_other_settings_is_refused(source: MakeSource, make_job: MakeJob, tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint", 0.0)
    train_saes(source(), [make_job(tmp_path, n_positions=1000)], 0, CPU, checkpoint)
    files = {file: file.read_bytes() for file in checkpoint.folder.iterdir()}
    other = [make_job(tmp_path, n_positions=1000, k=8)]
    with pytest.raises(ConflictError, match=r"64 \(layer 1\): k: 4 stored, 8 now.*--overwrite"):
        checkpoint.check(other, overwrite=False)
    assert {file: file.read_bytes() for file in checkpoint.folder.iterdir()} == files
    checkpoint.check([make_job(tmp_path, n_positions=1000)], overwrite=False)
    assert checkpoint.load() is not None
    checkpoint.check(other, overwrite=True)
    assert checkpoint.load() is None


def test_a_checkpoint_of_fewer_saes_is_not_resumed(source: MakeSource, make_job: MakeJob, tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint", 0.0)
    jobs = [make_job(tmp_path, width=width, n_positions=1000) for width in ("32", "64")]
    train_saes(source(), jobs, 0, CPU, checkpoint)
    checkpoint.check(jobs[:1], overwrite=False)
    assert checkpoint.load() is not None
    (again,) = train_saes(source(), jobs[:1], 0, CPU, checkpoint)  # one of its SAEs can be resumed alone
    assert again.trainer.sae.cfg.d_sae == 32
    checkpoint.check([*jobs, make_job(tmp_path, width="16", n_positions=1000)], overwrite=False)
    assert checkpoint.load() is None


def test_only_the_last_state_is_kept(source: MakeSource, make_job: MakeJob, tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint", 0.0)
    train_saes(source(), [make_job(tmp_path, n_positions=1000)], 0, CPU, checkpoint)
    assert sorted(file.name for file in checkpoint.folder.iterdir()) == ["state.json", "step-000000004.safetensors"]
    checkpoint.remove()
    assert not checkpoint.folder.exists()


def test_too_few_positions_are_refused(source: MakeSource, make_job: MakeJob, tmp_path: Path) -> None:
    with pytest.raises(SaeError, match=r"have [\d,]+ positions, fewer than batch_size \(100,000\)"):
        train_saes(source(), [make_job(tmp_path, batch_size=100_000, n_positions=10**6)], 0, CPU)
    with pytest.raises(SaeError, match=r"have [\d,]+ positions, fewer than buffer_size \(50,000\)"):
        train_saes(source(), [make_job(tmp_path, buffer_size=50_000, n_positions=10**6)], 0, CPU)


class Broken:
    """A source whose states are NaN at one hook point from the third block on."""

    def __init__(self, source: ModelActivations) -> None:
        self.source = source
        self.rows = source.rows
        self.held_out, self.positions = source.held_out, source.positions

    def blocks(self, start: Cursor) -> Iterator[tuple[Block, Cursor]]:
        for i, (block, cursor) in enumerate(self.source.blocks(start)):
            hook = self.source.hooks[0]
            yield (block if i < 2 else {**block, hook: block[hook] * float("nan")}), cursor


def test_only_a_diverged_sae_stops(source: MakeSource, make_job: MakeJob, tmp_path: Path) -> None:
    jobs = [make_job(tmp_path, layer) for layer in (0, 1)]
    broken, healthy = train_saes(Broken(source(0, 1)), jobs, 0, CPU, Checkpoint(tmp_path / "checkpoint", 0.0))
    assert broken.failure is not None
    assert broken.failure.startswith("64 (layer 0) diverged by step ")
    assert "lower its lr (0.003)" in broken.failure
    assert healthy.failure is None
    assert healthy.curves.positions[-1] == 79 * 256
    assert broken.curves.positions[-1] < 79 * 256


def test_training_ends_when_all_saes_have_diverged(source: MakeSource, make_job: MakeJob, tmp_path: Path) -> None:
    reported: list[int] = []
    train_saes(Broken(source(1)), [make_job(tmp_path)], 0, CPU, on_step=lambda positions, _: reported.append(positions))
    assert reported[-1] < 20_000


def test_progress_ends_at_n_positions(source: MakeSource, make_job: MakeJob, tmp_path: Path) -> None:
    reported: list[int] = []
    train_saes(source(), [make_job(tmp_path, n_positions=1000)], 0, CPU, on_step=lambda n, figures: reported.append(n))
    assert reported == [0, 256, 512, 768, 1000]
