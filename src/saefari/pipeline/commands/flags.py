"""Flags of the commands."""

from __future__ import annotations

import argparse

from saefari.errors import ConfigError, Problem
from saefari.pipeline.commands.mosaic_flags import add_mosaic_flags


def add_run_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of a run of a YAML configuration."""
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--extract-only", action="store_true", help="extract activations and codes, do not classify")
    only.add_argument("--classify-only", action="store_true", help="classify stored features, do not extract")
    add_train_flags(parser)


def add_train_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of every command that reads a YAML configuration."""
    parser.add_argument("--config", default="conf.yaml", metavar="FILE", help="configuration (default: conf.yaml)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a key: settings.max_samples=200"
    )
    _add_shared_flags(parser)


def add_extract_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `saefari extract`."""
    _add_oneoff_flags(parser)
    parser.add_argument("--dataset-name", required=True, help="local file or folder, embedded dataset or hub id")
    parser.add_argument("--dataset-config-name", default="", help="configuration of the dataset (default: none)")
    parser.add_argument("--dataset-split", default="train", help="split of the dataset (default: train)")
    parser.add_argument("--text-field", default="", help="column of texts (default: text, for an llm)")
    parser.add_argument("--image-field", default="", help="column of images, for a vlm or vit")
    parser.add_argument("--label-field", default="label", help="column of labels (default: label)")
    parser.add_argument("--save-dir", default="./output/activations", help="output folder of activations and codes")
    _add_boolean_flag(parser, "--act-only", default=False, help="store activations only (default: False)")
    parser.add_argument("--max-batches", type=int, help="maximum number of batches of --batch-size rows")
    parser.add_argument("--batch-size", type=int, default=32, help="sequences per batch (default: 32)")


def add_classify_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `saefari classify`; dataset flags default to the stored dataset."""
    _add_oneoff_flags(parser)
    parser.add_argument("--input-dir", default="./output/activations", help="folder of `saefari extract --save-dir`")
    for flag in ("--dataset-name", "--dataset-config-name", "--dataset-split", "--text-field", "--label-field"):
        parser.add_argument(flag, help="default: as stored")
    _add_boolean_flag(parser, "--act-only", default=None, help="default: True if only activations are stored")
    parser.add_argument(
        "--top-n", type=int, default=0, help="0: pool all latents; n: count the n largest latents of each position"
    )
    parser.add_argument("--binarize-value", type=_threshold, help="threshold for binary features; None: not binarized")
    parser.add_argument(
        "--output-dir",
        "--dashboard-dir",
        default="./output/classifications",
        help="output folder of classifiers and results",
    )
    parser.add_argument("--tree-depth", type=int, default=5, help="maximum depth of the tree (default: 5)")
    parser.add_argument("--cv-folds", type=int, default=5, help="number of cross-validation folds (default: 5)")
    _add_boolean_flag(parser, "--bow-baseline", default=True, help="train the TF-IDF baseline (default: True)")
    add_mosaic_flags(parser)
    parser.add_argument(
        "--save-plots", action="store_true", help="draw confusion matrices, ROC curves, trees and top features"
    )


def add_import_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `saefari import-mosaic`."""
    parser.add_argument("folder", metavar="DIR", help="folder that is searched for *classifier_results.json")
    parser.add_argument("--output-dir", default="./output", help="results are written to its classifications folder")
    parser.add_argument("--dry-run", action="store_true", help="list what would be imported without writing")
    _add_verbose_flag(parser)


def add_transfer_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `saefari transfer`."""
    run = "results folder of a feature source or setting: classifications/<model>/<dataset>/<split>/layer_<L>/"
    parser.add_argument("--train", required=True, metavar="RUN", help=run + "<width>[/<setting>]")
    parser.add_argument("--test", required=True, metavar="RUN", help="the same, or a features folder (activations/...)")
    parser.add_argument(
        "--map", metavar="FILE|JSON", help="class of the test run -> class of the training run; null leaves it out"
    )
    parser.add_argument(
        "--rows", choices=("test", "all"), default="test", help="rows of the test run (default: its test rows)"
    )
    for flag in ("--train-activations", "--test-activations"):
        parser.add_argument(flag, metavar="DIR", help="activations of the run (default: beside its classifications)")
    parser.add_argument(
        "--output-dir", metavar="DIR", help="output folder of classifications and reports (default: the test run's)"
    )
    _add_shared_flags(parser)


def flag_error(flag: str, message: str) -> ConfigError:
    """Return an error in a flag, in the form of a configuration error."""
    return ConfigError([Problem(flag, message)], "flags")


def _add_oneoff_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that `saefari extract` and `saefari classify` share."""
    parser.add_argument("--model-name", required=True, help="local path, embedded model or hub id")
    parser.add_argument("--model-type", default="llm", help="llm (default), vlm or vit")
    parser.add_argument("--positions", help="positions that count (default: tokens (llm), image (vlm), patches (vit))")
    parser.add_argument(
        "--text-is-label", action="store_true", help="run although the text gives the class away (adds a caution)"
    )
    parser.add_argument("--checkpoint", help="revision of the model on the hub: branch, tag or commit")
    parser.add_argument("--sae-release", help="release in the sae-lens catalogue (default: that known for the model)")
    parser.add_argument("--sae-path", help="local SAELens folder; may contain {layer} and {width}")
    parser.add_argument(
        "--sae-location", default="res", choices=("res", "mlp", "att"), help="hook point of the SAEs (default: res)"
    )
    parser.add_argument("--layer", type=_layers, required=True, help="layers, separated by commas")
    parser.add_argument(
        "--width", type=lambda text: text.split(","), help="SAE widths, separated by commas (default: the only one)"
    )
    parser.add_argument("--test-size", type=float, default=0.2, help="share of test rows (default: 0.2)")
    parser.add_argument("--seed", "--random-state", type=int, help="random seed (default: 0, or as stored)")
    _add_shared_flags(parser)


def _add_boolean_flag(parser: argparse.ArgumentParser, flag: str, default: bool | None, help: str) -> None:
    parser.add_argument(flag, type=_boolean, nargs="?", const=True, default=default, metavar="True|False", help=help)


def _add_shared_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of every command that runs experiments."""
    parser.add_argument("--dry-run", action="store_true", help="check everything and print the planned work")
    parser.add_argument("--overwrite", action="store_true", help="replace stored data made with other settings")
    _add_verbose_flag(parser)


def _add_verbose_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--verbose", action="store_true", help="log debug messages and tracebacks of unexpected errors")


def _boolean(text: str) -> bool:
    if text.lower() in ("true", "1", "yes"):
        return True
    if text.lower() in ("false", "0", "no"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither True nor False")


def _threshold(text: str) -> float | None:
    try:
        return None if text.lower() == "none" else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor None") from None


def _layers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of layers such as 6,12") from None
