"""A training's state on the disk: the last one that is whole, or none.

Its folder holds state.json and the tensors that it names. Both are written by rename, state.json last, so that a kill
at any moment leaves the state before.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saefari.errors import StoreError
from saefari.store.files import atomic_write, read_json, write_json

if TYPE_CHECKING:
    from torch import Tensor

_STATE = "state.json"
_TENSORS = "tensors"


def write_checkpoint(folder: Path, step: int, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Replace the folder's checkpoint by this one, of a later step. state: JSON-able."""
    from safetensors.torch import save_file

    path = folder / f"step-{step:09d}.safetensors"
    with atomic_write(path) as temporary:
        save_file(tensors, temporary)
    write_json(folder / _STATE, {**state, _TENSORS: path.name})
    for other in folder.glob("step-*.safetensors"):
        if other != path:
            other.unlink()


def read_checkpoint_state(folder: Path) -> dict[str, Any] | None:
    """What was handed to `write_checkpoint` as its state; None where there is no checkpoint."""
    state: dict[str, Any] | None = read_json(folder / _STATE)
    return state


def read_checkpoint_tensors(folder: Path) -> dict[str, Tensor]:
    """The tensors of the folder's checkpoint, on the CPU. Raises StoreError when they cannot be read."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / (read_checkpoint_state(folder) or {}).get(_TENSORS, "")
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise StoreError(f"{path} cannot be read ({error}); remove {folder} to train from the start") from None


def remove_checkpoint(folder: Path) -> None:
    """Remove what `write_checkpoint` wrote, and the folder if nothing else is in it."""
    (folder / _STATE).unlink(missing_ok=True)  # first: without it the rest is no checkpoint
    for file in folder.glob("*step-*.safetensors*"):
        file.unlink()
    with suppress(OSError):
        folder.rmdir()
