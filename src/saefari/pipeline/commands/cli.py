"""Entry points of the command line: `run_experiments.py` and `saefari`; heavy imports come after parsing the flags."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from saefari.errors import ConfigError, SaefariError
from saefari.log import start_logging
from saefari.pipeline.commands.flags import (
    add_classify_flags,
    add_extract_flags,
    add_import_flags,
    add_run_flags,
    add_train_flags,
    add_transfer_flags,
)
from saefari.pipeline.commands.mosaic_flags import with_hyphens

if TYPE_CHECKING:
    from saefari.config import Config

OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def run_experiments(arguments: Sequence[str] | None = None) -> int:
    """Run `python run_experiments.py` and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="run_experiments.py", description="Run the experiments of a YAML configuration."
    )
    add_run_flags(parser)
    parsed = parser.parse_args(with_hyphens(sys.argv[1:] if arguments is None else arguments))
    return _run_command(_run_experiments, parsed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command `saefari` and return the exit code."""
    from app.main import add_flags, serve

    parser = argparse.ArgumentParser(
        prog="saefari", description="Interpretable classifiers on SAE features of model activations."
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, (description, add_own_flags, function) in _COMMANDS.items():
        command = commands.add_parser(name, help=description)
        add_own_flags(command)
        command.set_defaults(function=function)
    dashboard = commands.add_parser("dashboard", help="browse results, latents and samples in a web browser")
    add_flags(dashboard)
    dashboard.set_defaults(function=serve, verbose=False)
    parsed = parser.parse_args(with_hyphens(sys.argv[1:] if arguments is None else arguments))
    return _run_command(parsed.function, parsed)


def _run_experiments(flags: argparse.Namespace) -> int:
    from saefari.config import load_config

    config = load_config(flags.config, flags.set)
    extract, classify = not flags.classify_only, not flags.extract_only
    return _run(
        config, flags, flags.config, train=extract, extract=extract, classify=classify, explain=extract and classify
    )


def _run_training(flags: argparse.Namespace) -> int:
    from saefari.config import load_config

    return _run(load_config(flags.config, flags.set), flags, flags.config, train=True)


def _run_vision_training(flags: argparse.Namespace) -> int:
    from saefari.config import load_config

    return _run(load_config(flags.config, flags.set), flags, flags.config, vision=True)


def _run_explanation(flags: argparse.Namespace) -> int:
    from saefari.config import load_config
    from saefari.pipeline.plan.check_explain import require_explain

    config = load_config(flags.config, flags.set)
    require_explain(config, flags.config)
    return _run(config, flags, flags.config, explain=True)


def _run_extract(flags: argparse.Namespace) -> int:
    from saefari.pipeline.commands.one_off import extract_config

    return _run(extract_config(flags), flags, "flags", extract=True)


def _run_classify(flags: argparse.Namespace) -> int:
    from saefari.pipeline.commands.one_off import classify_config

    return _run(classify_config(flags), flags, "flags", classify=True)


def _run_transfer(flags: argparse.Namespace) -> int:
    from saefari.pipeline.commands.transfer import run_transfer_command

    return run_transfer_command(flags)


def _run_import(flags: argparse.Namespace) -> int:
    from saefari.pipeline.commands.import_mosaic import run_import

    return run_import(flags)


_Command = Callable[[argparse.Namespace], int]
_COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None], _Command]] = {
    "run": (
        "run the experiments of a YAML configuration (same as run_experiments.py)",
        add_run_flags,
        _run_experiments,
    ),
    "train-sae": ("train only the SAEs of a YAML configuration", add_train_flags, _run_training),
    "train-vision": ("train only the vision model of a YAML configuration", add_train_flags, _run_vision_training),
    "extract": ("extract activations and codes of one model and dataset", add_extract_flags, _run_extract),
    "classify": ("train classifiers on the output of `saefari extract`", add_classify_flags, _run_classify),
    "explain": ("explain latents of a run that is extracted and classified", add_train_flags, _run_explanation),
    "transfer": ("evaluate classifiers of one run on the features of another", add_transfer_flags, _run_transfer),
    "import-mosaic": ("convert published MOSAIC results into a results tree", add_import_flags, _run_import),
}
"""Command -> help, function that adds its flags, function that runs it; `dashboard` belongs to the app."""


def _run(
    config: Config,
    flags: argparse.Namespace,
    source: str,
    *,
    vision: bool = False,
    train: bool = False,
    extract: bool = False,
    classify: bool = False,
    explain: bool = False,
) -> int:
    from saefari.pipeline.execute.run_plan import run_plan
    from saefari.pipeline.execute.run_report import describe_report
    from saefari.pipeline.plan.describe import describe_plan
    from saefari.pipeline.plan.make_plan import make_plan

    # Spinning of idle threads slows down other work on the machine two to three times.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if flags.dry_run:
        os.environ["HF_HUB_OFFLINE"] = "1"  # report missing files instead of fetching them
    plan = make_plan(config, need_model=vision or train or extract, dry_run=flags.dry_run, source=source)
    if vision:
        plan = plan.vision_only()
    elif train and not extract:
        plan = plan.training_only()
    if flags.dry_run:
        print(describe_plan(plan, train=train, extract=extract, classify=classify, explain=explain))
        return OK
    training = vision or train
    report = run_plan(
        plan,
        training=training,
        extracting=extract,
        classifying=classify,
        explaining=explain,
        overwrite=flags.overwrite,
    )
    selected = {"train": training, "extract": extract, "classify": classify, "explain": explain}
    print(describe_report(plan, report, [stage for stage, wanted in selected.items() if wanted]))
    return FAILED if report.failures else OK


def _run_command(function: _Command, flags: argparse.Namespace) -> int:
    """Run a command; print user errors as one message and return an exit code instead of a traceback."""
    start_logging(logging.DEBUG if flags.verbose else logging.INFO)
    try:
        return function(flags)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except SaefariError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("interrupted: run the same command again to resume", file=sys.stderr)
        return INTERRUPTED
