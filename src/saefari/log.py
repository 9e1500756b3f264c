"""Log lines and progress bars that do not tear each other apart."""

from __future__ import annotations

import logging
import sys
from typing import Any

logger = logging.getLogger("saefari")

_LONGEST = 36  # leaves room for the rate and the ETA


class _BesideProgress(logging.Handler):
    """Writes above any progress bar that is being drawn."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        tqdm.write(self.format(record), file=sys.stderr)


def start_logging(level: int = logging.INFO) -> None:
    """Send our log lines to standard error, once; other libraries keep their own."""
    if not logger.handlers:
        handler = _BesideProgress()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
        logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False


def progress_bar(total: int, description: str, unit: str, initial: int = 0) -> Any:
    """A bar with rate and ETA on standard error; where that is no terminal, a line every ten seconds."""
    from tqdm import tqdm

    interactive = sys.stderr.isatty()
    return tqdm(
        total=total,
        desc=description if len(description) <= _LONGEST else f"{description[: _LONGEST - 1]}…",
        unit=f" {unit}",
        initial=initial,
        smoothing=0.1,
        dynamic_ncols=interactive,
        ncols=None if interactive else 150,
        mininterval=0.2 if interactive else 10.0,
        unit_scale=True,
    )
