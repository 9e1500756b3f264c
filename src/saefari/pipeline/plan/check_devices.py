"""Check that the devices that a configuration names are there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from saefari.config import Settings
from saefari.errors import ModelError, Problem, shown

_VISIBLE = "CUDA_VISIBLE_DEVICES"


def device_problems(settings: Settings) -> Iterator[Problem]:
    """A problem for each setting that names a device which this machine does not have.

    `cuda_visible_devices` where there is no GPU at all is none: such a run uses the CPU (see `device_warnings`).
    """
    named = settings.cuda_visible_devices
    if settings.device == "cpu":
        return
    if named is not None and _n_gpus(named) < _n_named(named) and _n_gpus(None):
        there = f"it has {_n_gpus(None)}, numbered from 0"
        yield Problem("settings.cuda_visible_devices", f"{shown(named)} names a GPU that this machine lacks: {there}")
    elif settings.device not in ("auto", "cpu"):
        from saefari.models.pretrained import pick_device

        try:
            with nullcontext() if named is None else _visible(named):
                pick_device(settings.device)
        except ModelError as error:
            yield Problem("settings.device", str(error).removeprefix("device "))


def device_warnings(settings: Settings) -> Iterator[str]:
    """A warning where GPUs are named and there is none."""
    named = settings.cuda_visible_devices
    # CUDA may read its list only once: the one of the run must come first.
    if named is not None and _n_named(named) and settings.device == "auto" and not (_n_gpus(named) or _n_gpus(None)):
        yield f"settings.cuda_visible_devices: {shown(named)} names GPUs, and this machine shows none: the CPU is used"


def _n_named(named: str) -> int:
    """How many GPUs a list names; CUDA reads it up to the first that it cannot mean, such as -1."""
    parts = [part.strip() for part in named.split(",")]
    ends = [i for i, part in enumerate(parts) if not part or part.startswith("-")]
    return ends[0] if ends else len(parts)


def _n_gpus(named: str | None) -> int:
    """How many GPUs CUDA shows where this list is set; None = no list."""
    import torch

    with _visible(named):
        return torch.cuda.device_count()


@contextmanager
def _visible(named: str | None) -> Iterator[None]:
    """Within the block, CUDA shows the GPUs of a list; None = all."""
    before = os.environ.pop(_VISIBLE, None)
    if named is not None:
        os.environ[_VISIBLE] = named
    try:
        yield
    finally:
        os.environ.pop(_VISIBLE, None)
        if before is not None:
            os.environ[_VISIBLE] = before
