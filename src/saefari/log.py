"""Logging and progress bars that do not overwrite each other."""

from __future__ import annotations

import logging
import sys
from typing import Any

logger = logging.getLogger("saefari")

_MAX_DESCRIPTION = 36  # leaves room for the rate and the ETA


class _ProgressSafeHandler(logging.Handler):
    """Log handler that writes above an active progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        tqdm.write(self.format(record), file=sys.stderr)


def start_logging(level: int = logging.INFO) -> None:
    """Send SAEfari's log to standard error; repeated calls change only the level."""
    if not logger.handlers:
        handler = _ProgressSafeHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
        logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False


def progress_bar(total: int, description: str, unit: str, initial: int = 0) -> Any:
    """Return a progress bar with rate and ETA on standard error; without a terminal it prints every ten seconds."""
    from tqdm import tqdm

    interactive = sys.stderr.isatty()
    return tqdm(
        total=total,
        desc=description if len(description) <= _MAX_DESCRIPTION else f"{description[: _MAX_DESCRIPTION - 1]}…",
        unit=f" {unit}",
        initial=initial,
        smoothing=0.1,
        dynamic_ncols=interactive,
        ncols=None if interactive else 150,
        mininterval=0.2 if interactive else 10.0,
        unit_scale=True,
    )
