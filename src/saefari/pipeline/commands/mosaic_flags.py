"""MOSAIC's flags: taken where we mean the same, refused in one line where we have no counterpart."""

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
    """The arguments with `--model_name` spelt `--model-name`; values stay as they are."""
    return [_hyphenated(argument) if argument.startswith("--") else argument for argument in arguments]


def _hyphenated(argument: str) -> str:
    flag, equals, value = argument.partition("=")
    return flag.replace("_", "-") + equals + value


def add_mosaic_flags(parser: argparse.ArgumentParser) -> None:
    """Add to `saefari classify` what MOSAIC's classification takes beyond our flags."""
    for flag in _REFUSED:
        parser.add_argument(flag, nargs="*", metavar="VALUE", help=argparse.SUPPRESS)
    parser.add_argument("--all-tokens", action="store_true", help="every position counts, as without this flag")
    parser.add_argument("--last-token", action="store_true", help="the last position alone counts (with --top-n 0)")


def check_mosaic_flags(flags: argparse.Namespace) -> None:
    """Raise ConfigError for every flag of MOSAIC that cannot be taken as it is given."""
    problems = [
        Problem(flag, f"{message}; leave it out")
        for flag, message in _REFUSED.items()
        if getattr(flags, flag.removeprefix("--").replace("-", "_")) is not None
    ]
    if flags.last_token and flags.all_tokens:
        problems.append(Problem("--last-token", "and --all-tokens exclude each other: give one of them"))
    elif flags.last_token and flags.top_n != 0:
        message = "counts one position, --top-n counts over all of them: give --top-n 0, or leave --last-token out"
        problems.append(Problem("--last-token", message))
    if problems:
        raise ConfigError(problems, "flags")


def revision_in(flags: argparse.Namespace) -> str | None:
    """The model's revision that --checkpoint gives; MOSAIC names there the model itself.

    Raises ConfigError for the name of another vision-language model.
    """
    given: str | None = flags.checkpoint
    if given is None or given == flags.model_name:
        return None
    if flags.model_type == "vlm" and "/" in given and not given.startswith("refs/"):
        message = f"{given!r} looks like a model: give it as --model-name; --checkpoint is a branch, tag or commit"
        raise ConfigError([Problem("--checkpoint", message)], "flags")
    return given
