"""Check that the devices in a configuration exist."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from saefari.config import Settings
from saefari.errors import ModelError, Problem, shown

_VISIBLE = "CUDA_VISIBLE_DEVICES"


def device_problems(settings: Settings) -> Iterator[Problem]:
    """Yield a problem for each setting that names a device this machine does not have.

    `cuda_visible_devices` on a machine without GPUs is no problem: the run uses the CPU (see `device_warnings`).
    """
    named = settings.cuda_visible_devices
    if settings.device == "cpu":
        return
    if named is not None and _n_gpus(named) < _n_named(named) and _n_gpus(None):
        available = f"it has {_n_gpus(None)}, numbered from 0"
        message = f"{shown(named)} names a GPU that this machine lacks: {available}"
        yield Problem("settings.cuda_visible_devices", message)
    elif settings.device not in ("auto", "cpu"):
        from saefari.models.pretrained import pick_device

        try:
            with nullcontext() if named is None else _visible(named):
                pick_device(settings.device)
        except ModelError as error:
            yield Problem("settings.device", str(error).removeprefix("device "))


def device_warnings(settings: Settings) -> Iterator[str]:
    """Yield a warning if GPUs are named and the machine has none."""
    named = settings.cuda_visible_devices
    # CUDA may read the variable only once, so the run's list must be tried first.
    if named is not None and _n_named(named) and settings.device == "auto" and not (_n_gpus(named) or _n_gpus(None)):
        yield f"settings.cuda_visible_devices: {shown(named)} names GPUs, but this machine has none: using the CPU"


def _n_named(named: str) -> int:
    """Number of GPUs in a list; CUDA ignores everything from the first invalid entry, such as -1."""
    parts = [part.strip() for part in named.split(",")]
    ends = [i for i, part in enumerate(parts) if not part or part.startswith("-")]
    return ends[0] if ends else len(parts)


def _n_gpus(named: str | None) -> int:
    """Number of GPUs that are visible to CUDA with this list; None = no list."""
    import torch

    with _visible(named):
        return torch.cuda.device_count()


@contextmanager
def _visible(named: str | None) -> Iterator[None]:
    """Set CUDA_VISIBLE_DEVICES within the block; None = unset."""
    before = os.environ.pop(_VISIBLE, None)
    if named is not None:
        os.environ[_VISIBLE] = named
    try:
        yield
    finally:
        os.environ.pop(_VISIBLE, None)
        if before is not None:
            os.environ[_VISIBLE] = before
