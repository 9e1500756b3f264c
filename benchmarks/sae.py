"""SAE training: speed relative to the sae-lens trainer, quality on real text, dead latents, and memory.

`make bench-sae`, or `python benchmarks/sae.py memory|throughput|quality|jumprelu|dead …` for selected parts. The model
is all-MiniLM-L6-v2, layer 3; the texts are python-docs and the files in `--data`, if given (CSV and JSON lines with a
column `text`, named train.* and test.*). SAEs are measured on a held-out tenth of the texts.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from sae_text import HOOK, TEST, TRAIN, InMemory, Listed, Text

from saefari.config import SaeTraining
from saefari.models.forward import Forward
from saefari.saes.load import load_sae
from saefari.saes.ref import SaeRef
from saefari.train.activation_sources import Cursor, ModelActivations
from saefari.train.job import SaeJob
from saefari.train.quality import evaluate
from saefari.train.training_loop import train_saes

ROOT = Path(__file__).resolve().parents[1]
CPU = torch.device("cpu")
HELD_OUT = 65_536
MEMORY_POSITIONS = (100_000, 800_000)


def main() -> None:
    # Memory first: on Linux the peak of a child process includes the size of its parent.
    parts = {"memory": memory, "throughput": throughput, "quality": quality, "jumprelu": jumprelu, "dead": dead}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*parts, []], help="default: all")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of more text")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.child:
        _train_from_texts(flags.child)
        return
    torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
    text = Text(flags.data)
    for name, measure in parts.items():
        if name in (flags.parts or parts):
            print(f"-- {name}", flush=True)
            measure(text)


def throughput(text: Text) -> None:
    """Print positions per second of our loop and of sae-lens, on the same tensor, measured alternately."""
    states = text.states(TRAIN)[:150_000]
    training = SaeTraining(architecture="batchtopk", k=16, n_positions=120 * 1024, d_sae=3072)
    ours, theirs = [], []
    for _ in range(3):
        theirs.append(_sae_lens_seconds(states, training))
        ours.append(_seconds(lambda: train_saes(InMemory(states), [_job(training)], 0, CPU)))
    rate = training.n_positions / median(ours)
    print(f"positions per second, ours: {rate:,.0f}, sae-lens: {training.n_positions / median(theirs):,.0f}")
    print(f"ratio, median of {len(ours)}: {median(theirs) / median(ours):.2f}     (goal: >= 0.95)")
    source = ModelActivations(Forward(text.model, 4096), Listed(text.rows(TRAIN, more=False)), [HOOK])
    path = _positions_per_second(source, 60_000)
    print(f"positions per second of the data path (forward passes): {path:,.0f}, {path / rate:.1f} x the training's")


def quality(text: Text) -> None:
    """Measure BatchTopK, trained on a million positions, on held-out text."""
    training = SaeTraining(architecture="batchtopk", k=16, n_positions=1_000_000, d_sae=3072)
    found = _measured(text, training)
    print(f"{_format_quality(found)}   (goals: FVU <= 0.175, L0 <= 16, dead <= 2%)")


def jumprelu(text: Text) -> None:
    """Compare JumpReLU at three target L0 with the curve of BatchTopK."""
    curve = []
    for k in (6, 12, 24, 48):
        training = SaeTraining(architecture="batchtopk", k=k, n_positions=400_000, d_sae=2048)
        found = _measured(text, training)
        curve.append((found["l0"], found["fvu"]))
        print(f"batchtopk k {k:2}:        {_format_quality(found)}", flush=True)
    for target in (8, 16, 32):
        training = SaeTraining(architecture="jumprelu", target_l0=target, n_positions=400_000, d_sae=2048)
        found = _measured(text, training)
        at = np.exp(np.interp(np.log(found["l0"]), *np.log(np.array(curve).T)))
        off, above = found["l0"] / target - 1, found["fvu"] - at
        print(f"jumprelu target {target:2}:    {_format_quality(found)}, {off:+.0%} of its target (goal: within 15%)")
        print(f"    BatchTopK at that L0: {at:.4f}, JumpReLU {above:+.4f} (goal: <= 0)", flush=True)


def dead(text: Text) -> None:
    """Measure methods against dead latents on the default experiment: python-docs, 150,000 positions."""
    default: dict[str, Any] = {"d_sae": 3072, "n_positions": 150_000}
    standard = {**default, "architecture": "standard", "l1_coefficient": 10.0}
    shares = []
    for name, resample in (("standard", None), ("standard, resampled", {"every": 0.1, "until": 0.6})):
        found = _measured(text, SaeTraining(**standard, resample=resample), more=False)
        shares.append(found["dead_fraction"])
        print(f"{name:29} {_format_quality(found)}", flush=True)
    print(f"dead with resampling / without: {shares[1] / shares[0]:.2f}     (goal: <= 0.5)")
    topk = {**default, "architecture": "batchtopk", "k": 16}
    target = {**default, "architecture": "jumprelu", "target_l0": 16}
    for name, options, loss in (
        ("batchtopk", topk, "aux_loss_coefficient"),
        ("jumprelu", target, "pre_act_loss_coefficient"),
    ):
        for state, without in (("default", None), (f"without {loss.split('_coeff')[0]}", loss)):
            found = _measured(text, SaeTraining(**options), more=False, without=without)
            print(f"{name + ', ' + state:29} {_format_quality(found)}", flush=True)


def memory(text: Text) -> None:
    """Print the peak memory of training from texts for few and many positions, each in its own process."""
    peaks = []
    for n_positions in MEMORY_POSITIONS:
        command = [sys.executable, __file__, "--child", str(n_positions)]
        peaks.append(float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1]))
        print(f"peak memory, {n_positions:9,} positions: {peaks[-1]:6.0f} MB", flush=True)
    print(f"difference {peaks[1] - peaks[0]:+.0f} MB     (goal: flat)")


def _train_from_texts(n_positions: int) -> None:
    """Train a small SAE on python-docs and print the process' peak memory in MB."""
    text = Text(Path())
    source = ModelActivations(Forward(text.model, 4096), Listed(text.rows(TRAIN, more=False)), [HOOK])
    training = SaeTraining(architecture="topk", k=8, n_positions=n_positions, d_sae=512, buffer_size=32_768)
    train_saes(source, [_job(training)], 0, CPU)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _measured(text: Text, training: SaeTraining, more: bool = True, without: str | None = None) -> dict[str, Any]:
    """Train an SAE on the training texts and measure it on positions of held-out texts."""
    states = text.states(TRAIN, more)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, _without(without):
        (fit,) = train_saes(InMemory(states), [_job(training)], 0, CPU)
        fit.finish().save_inference_model(folder)
        loaded = load_sae(SaeRef(HOOK.layer, "bench", path=folder))
        found = evaluate(loaded, text.states(TEST, more)[:HELD_OUT].split(8192)).summary()
    return {**found, "seconds": time.perf_counter() - started}


class _without:
    """Turn off a loss of sae-lens within a block, by the name of its coefficient."""

    def __init__(self, coefficient: str | None) -> None:
        self.coefficient = coefficient

    def __enter__(self) -> None:
        from saefari.train import architectures

        self.options = architectures._options
        if self.coefficient is not None:
            off = 0.0 if self.coefficient.startswith("aux") else None
            name = self.coefficient
            architectures._options = lambda *given: self.options(*given) | {name: off}

    def __exit__(self, *_: object) -> None:
        from saefari.train import architectures

        architectures._options = self.options


def _job(training: SaeTraining) -> SaeJob:
    return SaeJob(HOOK.layer, str(training.d_sae), training, HOOK, Path("bench"), {}, {"hook_name": HOOK.name})


def _sae_lens_seconds(states: torch.Tensor, training: SaeTraining) -> float:
    """Return the seconds of the sae-lens loop over batches of the same tensor in memory."""
    from sae_lens.config import LoggingConfig, SAETrainerConfig
    from sae_lens.saes.batchtopk_sae import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig
    from sae_lens.training.sae_trainer import SAETrainer

    assert training.d_sae is not None
    torch.manual_seed(0)
    sae = BatchTopKTrainingSAE(BatchTopKTrainingSAEConfig(d_in=states.shape[1], d_sae=training.d_sae, k=training.k))
    size = training.batch_size
    order = torch.randperm(len(states))
    config = SAETrainerConfig(
        total_training_samples=training.n_positions,
        train_batch_size_samples=size,
        lr=training.lr,
        lr_end=training.lr,
        lr_decay_steps=training.n_positions // size // 5,
        dead_feature_window=10,
        n_checkpoints=0,
        device="cpu",
        logger=LoggingConfig(log_to_wandb=False),
    )
    batches = (states[order[start : start + size]] for start in range(0, len(states) - size, size))
    return _seconds(SAETrainer(config, sae, batches).fit)


def _positions_per_second(source: ModelActivations, n_positions: int) -> float:
    started, total = time.perf_counter(), 0
    for block, _ in source.blocks(Cursor()):
        total += len(block[HOOK])
        if total >= n_positions:
            break
    return total / (time.perf_counter() - started)


def _seconds(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _format_quality(found: dict[str, Any]) -> str:
    figures = f"FVU {found['fvu']:.4f}, L0 {found['l0']:6.2f}, dead {found['dead_fraction']:.2%}"
    return f"{figures} ({found['seconds']:.0f} s)"


if __name__ == "__main__":
    main()
