"""Training checkpoints.

A folder holds state.json and the tensor file it names. Both are written atomically, state.json last, so an
interrupted write leaves the previous checkpoint intact.
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
    """Replace the folder's checkpoint with that of a later step. state: JSON-serialisable."""
    from safetensors.torch import save_file

    path = folder / f"step-{step:09d}.safetensors"
    with atomic_write(path) as temporary:
        save_file(tensors, temporary)
    write_json(folder / _STATE, {**state, _TENSORS: path.name})
    for other in folder.glob("step-*.safetensors"):
        if other != path:
            other.unlink()


def read_checkpoint_state(folder: Path) -> dict[str, Any] | None:
    """Return the `state` of the folder's checkpoint, or None if there is no checkpoint."""
    state: dict[str, Any] | None = read_json(folder / _STATE)
    return state


def read_checkpoint_tensors(folder: Path) -> dict[str, Tensor]:
    """Return the tensors of the folder's checkpoint, on the CPU. Raises StoreError if they cannot be read."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / (read_checkpoint_state(folder) or {}).get(_TENSORS, "")
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise StoreError(f"{path} cannot be read ({error}); remove {folder} to train from the start") from None


def remove_checkpoint(folder: Path) -> None:
    """Remove the folder's checkpoint, and the folder if it is then empty."""
    (folder / _STATE).unlink(missing_ok=True)  # first, so that an interrupted removal leaves no readable checkpoint
    for file in folder.glob("*step-*.safetensors*"):
        file.unlink()
    with suppress(OSError):
        folder.rmdir()
