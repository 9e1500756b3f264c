"""Progress of a training: a progress bar with figures and, optionally, TensorBoard or W&B."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Protocol

from saefari.errors import SaeError
from saefari.fingerprint import fingerprint
from saefari.log import progress_bar
from saefari.names import folder_name
from saefari.train.curves import Figures


class Log(Protocol):
    """Interface of a log of training curves; figures by SAE title."""

    def add(self, positions: int, figures: dict[str, Figures]) -> None: ...
    def close(self) -> None: ...


class ProgressReporter:
    """An `OnStep` callback that updates a progress bar and a log."""

    def __init__(self, title: str, n_positions: int, kind: str, folder: Path) -> None:
        """kind: settings.training_log; folder: parent of the log files.

        Raises SaeError if the log's package is not installed.
        """
        self._log = _open_log(kind, folder, title)
        self._bar: Any = None
        self._new_bar = partial(progress_bar, n_positions, title, "positions")

    def __call__(self, positions: int, figures: dict[str, Figures]) -> None:
        if self._bar is None:  # the first call gives the start position
            self._bar = self._new_bar(initial=positions)
        self._bar.update(positions - self._bar.n)
        if figures:
            self._bar.set_postfix_str(_format_figures(list(figures.values())), refresh=False)
            if self._log is not None:
                self._log.add(positions, figures)

    def close(self) -> None:
        """Close the bar and the log."""
        for one in (self._bar, self._log):
            if one is not None:
                one.close()


def _format_figures(figures: list[Figures]) -> str:
    """Format the range of FVU, L0 and dead latents over the SAEs."""
    parts = (("FVU", [f.fvu for f in figures]), ("L0", [f.l0 for f in figures]), ("dead", [f.dead for f in figures]))
    return ", ".join(f"{name} {_format_range(values)}" for name, values in parts)


def _format_range(values: list[float]) -> str:
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return low if low == high else f"{low}-{high}"


def _open_log(kind: str, folder: Path, title: str) -> Log | None:
    logs: dict[str, type[_TensorBoard] | type[_WeightsAndBiases]] = {
        "tensorboard": _TensorBoard,
        "wandb": _WeightsAndBiases,
    }
    if kind not in logs:
        return None
    try:
        return logs[kind](folder, title)
    except ImportError as error:
        raise SaeError(
            f"settings.training_log is {kind!r}, but {error.name or kind} is not installed: pip install {kind}"
        ) from None


class _TensorBoard:
    def __init__(self, folder: Path, title: str) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(folder / folder_name([title], "training"))

    def add(self, positions: int, figures: dict[str, Figures]) -> None:
        for sae, of_sae in figures.items():
            for name, value in of_sae._asdict().items():
                self._writer.add_scalar(f"{name}/{sae}", value, positions)

    def close(self) -> None:
        self._writer.close()


class _WeightsAndBiases:
    def __init__(self, folder: Path, title: str) -> None:
        import wandb

        folder.mkdir(parents=True, exist_ok=True)
        run_id = fingerprint([str(folder.resolve()), title])[:16]  # a resumed training continues its run
        self._run: Any = wandb.init(project="saefari", name=title, dir=folder, id=run_id, resume="allow")

    def add(self, positions: int, figures: dict[str, Figures]) -> None:
        values = {f"{name}/{sae}": value for sae, of_sae in figures.items() for name, value in of_sae._asdict().items()}
        self._run.log({"positions": positions, **values})

    def close(self) -> None:
        self._run.finish()
