"""What the command line takes."""

from __future__ import annotations

import argparse

from saefari.errors import ConfigError, Problem
from saefari.pipeline.commands.mosaic_flags import add_mosaic_flags


def add_run_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of a run that a YAML file describes."""
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--extract-only", action="store_true", help="activations and codes, no classifiers")
    only.add_argument("--classify-only", action="store_true", help="classifiers on what is extracted already")
    add_train_flags(parser)


def add_train_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of every command that a YAML file tells what to do."""
    parser.add_argument("--config", default="conf.yaml", metavar="FILE", help="default: conf.yaml")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a key, as settings.max_samples=200"
    )
    _add_shared_flags(parser)


def add_extract_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `saefari extract`."""
    _add_oneoff_flags(parser)
    parser.add_argument("--dataset-name", required=True, help="local file or folder, embedded dataset or hub id")
    parser.add_argument("--dataset-config-name", default="")
    parser.add_argument("--dataset-split", default="train")
    parser.add_argument("--text-field", default="", help="default: text, of an llm")
    parser.add_argument("--image-field", default="", help="what a vlm or vit reads")
    parser.add_argument("--label-field", default="label")
    parser.add_argument("--save-dir", default="./output/activations", help="where activations and codes go")
    _add_boolean_flag(parser, "--act-only", default=False, help="store activations only")
    parser.add_argument("--max-batches", type=int, help="at most this many batches of --batch-size rows")
    parser.add_argument("--batch-size", type=int, default=32, help="sequences in a batch (default: 32)")


def add_classify_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `saefari classify`. What is stored settles those of the dataset that are left out."""
    _add_oneoff_flags(parser)
    parser.add_argument("--input-dir", default="./output/activations", help="what `saefari extract --save-dir` wrote")
    for flag in ("--dataset-name", "--dataset-config-name", "--dataset-split", "--text-field", "--label-field"):
        parser.add_argument(flag, help="default: what is stored")
    _add_boolean_flag(parser, "--act-only", default=None, help="default: True where only activations are stored")
    parser.add_argument("--top-n", type=int, default=0, help="0: all latents, n: count of each position's n largest")
    parser.add_argument("--binarize-value", type=_threshold, help="1 where a feature exceeds this; None: as it is")
    parser.add_argument(
        "--output-dir",
        "--dashboard-dir",
        default="./output/classifications",
        help="where classifiers and results go",
    )
    parser.add_argument("--tree-depth", type=int, default=5)
    parser.add_argument("--cv-folds", type=int, default=5)
    _add_boolean_flag(parser, "--bow-baseline", default=True, help="the TF-IDF baseline (default: True)")
    add_mosaic_flags(parser)
    parser.add_argument("--save-plots", action="store_true", help="confusion matrix, ROC, tree and top-feature figures")


def add_import_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `saefari import-mosaic`."""
    parser.add_argument("folder", metavar="DIR", help="searched for *classifier_results.json")
    parser.add_argument("--output-dir", default="./output", help="its `classifications` gets the results")
    parser.add_argument("--dry-run", action="store_true", help="say what would be imported, write nothing")
    _add_verbose_flag(parser)


def add_transfer_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `saefari transfer`."""
    run = "results of a feature source or of one of its settings: classifications/<model>/<dataset>/<split>/layer_<L>/"
    parser.add_argument("--train", required=True, metavar="RUN", help=run + "<width>[/<setting>]; not fitted again")
    parser.add_argument(
        "--test", required=True, metavar="RUN", help="likewise, or the folder of features (activations/...)"
    )
    parser.add_argument(
        "--map", metavar="FILE|JSON", help="class of the test run -> class of the training run; null leaves it out"
    )
    parser.add_argument("--rows", choices=("test", "all"), default="test", help="default: the test run's test rows")
    for flag in ("--train-activations", "--test-activations"):
        parser.add_argument(flag, metavar="DIR", help="default: activations beside the run's classifications")
    parser.add_argument(
        "--output-dir", metavar="DIR", help="its classifications and reports get the results; default: the test run's"
    )
    _add_shared_flags(parser)


def flag_error(flag: str, message: str) -> ConfigError:
    """A mistake in a flag, in the form of a mistake in a file."""
    return ConfigError([Problem(flag, message)], "flags")


def _add_oneoff_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that `saefari extract` and `saefari classify` share."""
    parser.add_argument("--model-name", required=True, help="local path, embedded model or hub id")
    parser.add_argument("--model-type", default="llm", help="llm (default), vlm or vit")
    parser.add_argument("--positions", help="which positions count; default: tokens (llm), image (vlm), patches (vit)")
    parser.add_argument(
        "--text-is-label", action="store_true", help="the text gives the class away, and is meant to: run all the same"
    )
    parser.add_argument("--checkpoint", help="the model's revision on the hub: branch, tag or commit")
    parser.add_argument(
        "--sae-release", help="release in sae-lens' catalogue; default: the best-known one of the model"
    )
    parser.add_argument("--sae-path", help="local SAELens folder; may hold {layer} and {width}")
    parser.add_argument("--sae-location", default="res", choices=("res", "mlp", "att"), help="default: res")
    parser.add_argument("--layer", type=_layers, required=True, help="one layer, or several with commas")
    parser.add_argument("--width", type=lambda text: text.split(","), help="default: the only one there is")
    parser.add_argument("--test-size", type=float, default=0.2, help="share of rows held out (default: 0.2)")
    parser.add_argument(
        "--seed", "--random-state", type=int, help="of the split and all else; default: 0, or as stored"
    )
    _add_shared_flags(parser)


def _add_boolean_flag(parser: argparse.ArgumentParser, flag: str, default: bool | None, help: str) -> None:
    parser.add_argument(flag, type=_boolean, nargs="?", const=True, default=default, metavar="True|False", help=help)


def _add_shared_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of every command that runs experiments."""
    parser.add_argument("--dry-run", action="store_true", help="check everything, say what would be done, do nothing")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace stored data that was made with other settings"
    )
    _add_verbose_flag(parser)


def _add_verbose_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--verbose", action="store_true", help="debug log, with tracebacks of unexpected errors")


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
        raise argparse.ArgumentTypeError(f"{text!r} is no list of layers such as 6,12") from None
