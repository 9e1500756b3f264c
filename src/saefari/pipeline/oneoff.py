"""One-off runs by flags: they build the same configuration that a YAML file would."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saefari.config import Config


def add_extract_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `saefari extract`."""
    _add_model_flags(parser)
    _add_dataset_flags(parser)
    parser.add_argument("--save-dir", default="./output/activations", help="where activations and codes go")
    parser.add_argument("--act-only", type=_boolean, default=False, metavar="True|False", help="store activations only")
    parser.add_argument("--max-batches", type=int, help="at most this many batches of --batch-size rows")
    parser.add_argument("--batch-size", type=int, default=32, help="sequences in a batch (default: 32)")
    _add_common_flags(parser)


def add_classify_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `saefari classify`."""
    parser.add_argument("--input-dir", default="./output/activations", help="what `saefari extract --save-dir` wrote")
    _add_model_flags(parser)
    _add_dataset_flags(parser)
    parser.add_argument("--act-only", type=_boolean, default=False, metavar="True|False", help="as it was extracted")
    parser.add_argument("--top-n", type=int, default=0, help="0: all latents, n: count of each position's n largest")
    parser.add_argument("--binarize-value", type=float, help="1 where a feature exceeds this")
    parser.add_argument("--output-dir", default="./output/classifications", help="where classifiers and results go")
    parser.add_argument("--test-size", type=float, default=0.2)
    parser.add_argument("--tree-depth", type=int, default=5)
    parser.add_argument("--save-plots", action="store_true", help="confusion matrix, ROC, tree and top-feature figures")
    _add_common_flags(parser)


def extract_config(flags: argparse.Namespace) -> Config:
    """The configuration that `saefari extract` runs. Raises ConfigError."""
    settings = {
        "base_save_dir": flags.save_dir,
        "batch_size": flags.batch_size,
        "act_only": flags.act_only,
        "max_batches": flags.max_batches,
    }
    return _config(flags, settings, {})


def classify_config(flags: argparse.Namespace) -> Config:
    """The configuration that `saefari classify` runs. Raises ConfigError."""
    settings = {
        "base_save_dir": flags.input_dir,
        "base_classify_dir": flags.output_dir,
        "act_only": flags.act_only,
        "test_size": flags.test_size,
        "tree_depth": flags.tree_depth,
        "save_plots": flags.save_plots,
    }
    params = {"top_n_values": [flags.top_n], "binarize_values": [flags.binarize_value]}
    return _config(flags, settings, params)


def _config(flags: argparse.Namespace, settings: dict[str, Any], params: dict[str, Any]) -> Config:
    from saefari.config import parse_config

    model = {
        "name": flags.model_name,
        "layers": flags.layer,
        "widths": flags.width or _only_width(flags),
        "revision": flags.checkpoint,
        "sae_release": flags.sae_release,
        "sae_path": flags.sae_path,
    }
    dataset = {
        "name": flags.dataset_name,
        "config_name": flags.dataset_config_name,
        "split": flags.dataset_split,
        "text_field": flags.text_field,
        "image_field": flags.image_field,
        "label_field": flags.label_field,
    }
    common = {"model_type": flags.model_type, "sae_location": flags.sae_location}
    return parse_config(
        {
            "settings": {**settings, **common},
            "models": [model],
            "datasets": [dataset],
            "classification_params": params,
        },
        source="flags",
    )


def _only_width(flags: argparse.Namespace) -> list[str]:
    """The width of the SAEs at the layers, where --width leaves it open. Raises ConfigError where it is not one."""
    from saefari.errors import SaeError
    from saefari.pipeline.cli import flag_error
    from saefari.saes.catalogue import widths_at

    if flags.sae_path is not None:
        raise flag_error("--width", "is needed with --sae-path: it names the folder of the codes")
    widths: set[str] = set()
    for layer in flags.layer:
        try:
            widths |= set(widths_at(flags.model_name, layer, flags.sae_location, flags.sae_release))
        except SaeError as error:
            raise flag_error("--sae-release", str(error)) from None
    if len(widths) != 1:
        raise flag_error("--width", f"is needed: there are SAEs of the widths {', '.join(sorted(widths))}")
    return list(widths)


def _add_model_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model-name", required=True, help="local path, embedded model or hub id")
    parser.add_argument("--model-type", default="llm", help="llm (default), vlm or vit")
    parser.add_argument("--checkpoint", help="the model's revision on the hub: branch, tag or commit")
    parser.add_argument(
        "--sae-release", help="release in sae-lens' catalogue; default: the best-known one of the model"
    )
    parser.add_argument("--sae-path", help="local SAELens folder; may hold {layer} and {width}")
    parser.add_argument("--sae-location", default="res", help="res (default), mlp or att")
    parser.add_argument("--layer", type=_layers, required=True, help="one layer, or several with commas")
    parser.add_argument("--width", type=lambda text: text.split(","), help="default: the only one there is")


def _add_dataset_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset-name", required=True, help="local file or folder, embedded dataset or hub id")
    parser.add_argument("--dataset-config-name", default="")
    parser.add_argument("--dataset-split", default="train")
    parser.add_argument("--text-field", default="text")
    parser.add_argument("--image-field", default="")
    parser.add_argument("--label-field", default="label")


def _add_common_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="check everything, say what would be done, do nothing")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace stored data that was made with other settings"
    )


def _boolean(text: str) -> bool:
    if text.lower() in ("true", "1", "yes"):
        return True
    if text.lower() in ("false", "0", "no"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither True nor False")


def _layers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of layers such as 6,12") from None
