"""Notice of a page that needs results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import dash_mantine_components as dmc

from app.shared.parts.page import notice


def no_results(output: Path, problems: Sequence[tuple[str, str]]) -> dmc.Alert:
    """State that there are no results and how to create them. problems: unreadable files of the tree."""
    unreadable = f" {len(problems)} files cannot be read: see Health." if problems else ""
    return notice(
        f"There are no results in {output} yet. Run `python run_experiments.py` (or `make run`); results appear here "
        f"without a restart.{unreadable}",
        "No results yet",
    )
