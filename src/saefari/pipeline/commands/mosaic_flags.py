"""Flags of MOSAIC: accepted if they have the same meaning here, otherwise an error."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from saefari.errors import ConfigError, Problem

_REFUSED = {
    "--linear-c-values": "has no counterpart: the linear probe chooses C by cross-validation among its own candidates",
    "--tree-min-samples-split": "has no counterpart: cross-validation chooses the tree's size below --tree-depth",
    "--tree-min-samples-leaf": "has no counterpart: cross-validation chooses the tree's size below --tree-depth",
}


def with_hyphens(arguments: Sequence[str]) -> list[str]:
    """Replace underscores in flags, as in `--model_name`, by hyphens; values are unchanged."""
    return [_hyphenated(argument) if argument.startswith("--") else argument for argument in arguments]


def _hyphenated(argument: str) -> str:
    flag, equals, value = argument.partition("=")
    return flag.replace("_", "-") + equals + value


def add_mosaic_flags(parser: argparse.ArgumentParser) -> None:
    """Add the further flags of MOSAIC's classification to `saefari classify`."""
    for flag in _REFUSED:
        parser.add_argument(flag, nargs="*", metavar="VALUE", help=argparse.SUPPRESS)
    parser.add_argument("--all-tokens", action="store_true", help="use every position (default)")
    parser.add_argument("--last-token", action="store_true", help="use the last position only (requires --top-n 0)")


def check_mosaic_flags(flags: argparse.Namespace) -> None:
    """Raise ConfigError for every flag of MOSAIC that has no counterpart or contradicts another flag."""
    problems = [
        Problem(flag, f"{message}; remove it")
        for flag, message in _REFUSED.items()
        if getattr(flags, flag.removeprefix("--").replace("-", "_")) is not None
    ]
    if flags.last_token and flags.all_tokens:
        problems.append(Problem("--last-token", "cannot be combined with --all-tokens: give one of them"))
    elif flags.last_token and flags.top_n != 0:
        message = "uses one position, but --top-n counts over all positions: give --top-n 0, or remove --last-token"
        problems.append(Problem("--last-token", message))
    if problems:
        raise ConfigError(problems, "flags")


def revision_in(flags: argparse.Namespace) -> str | None:
    """Return the model revision in --checkpoint, where MOSAIC accepts the model name as well.

    Raises ConfigError for the name of another vision-language model.
    """
    checkpoint: str | None = flags.checkpoint
    if checkpoint is None or checkpoint == flags.model_name:
        return None
    if flags.model_type == "vlm" and "/" in checkpoint and not checkpoint.startswith("refs/"):
        message = f"{checkpoint!r} looks like a model: give it as --model-name; --checkpoint is a branch, tag or commit"
        raise ConfigError([Problem("--checkpoint", message)], "flags")
    return checkpoint
