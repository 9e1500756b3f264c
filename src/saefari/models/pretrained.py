"""Load a model's weights and tokenizer, safely and without console output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from saefari.errors import ModelError
from saefari.fingerprint import file_digest, file_sha256, fingerprint
from saefari.models.registry import EMBEDDED, ModelInfo, read_cache_first, read_config, text_config

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def pick_device(device: str) -> torch.device:
    """Resolve a device setting; auto = a CUDA GPU if there is one, else the CPU. Raises ModelError."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    picked = torch.device(device)
    if picked.type == "cuda" and (picked.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise ModelError(f"device {device!r}: this machine has {count} CUDA devices; use 'auto'")
    if picked.type == "mps" and not torch.backends.mps.is_available():
        raise ModelError("device 'mps' is not available on this machine; use 'auto'")
    return picked


def pick_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """Resolve a dtype setting; auto = bfloat16 on a CUDA GPU, float32 elsewhere."""
    if dtype == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    return _DTYPES[dtype]


def load_weights(info: ModelInfo, location: str, dtype: torch.dtype, part: Callable[[Any], Any] | None = None) -> Any:
    """Load the base model on the CPU, in evaluation mode, frozen, without the key-value cache.

    part: selects the part of the model to keep; None = `text_part`.

    Raises ModelError for an embedded model whose weights are not the official ones, for weights that are not
    safetensors, and for a checkpoint that lacks weights of the kept part.
    """
    from transformers import AutoModel

    model, missing = read_weights(AutoModel, info, location, dtype)
    kept = (part or text_part)(model)
    own = {id(tensor) for tensor in kept.state_dict(keep_vars=True).values()}
    used = {name for name, tensor in model.state_dict(keep_vars=True).items() if id(tensor) in own}
    if missing := [name for name in missing if name in used]:
        raise ModelError(f"model {info.name!r}: its files lack {len(missing)} weights, such as {missing[0]!r}")
    return kept.eval().requires_grad_(False)


def read_weights(auto_class: Any, info: ModelInfo, location: str, dtype: torch.dtype) -> tuple[Any, list[str]]:
    """Load a checkpoint with one of transformers' auto classes; return the model and the names of missing weights.

    Raises ModelError as `load_weights` does, except for missing weights.
    """
    _check_embedded(info, location)

    config = read_config(info.name, info.revision)
    # Other attention kernels ignore Gemma 2's soft cap and so give different hidden states.
    capped = getattr(text_config(config), "attn_logit_softcapping", None)
    attention = {"attn_implementation": "eager"} if capped else {}

    def read(local_files_only: bool) -> Any:
        """Load the weights, from this machine only or also from the hub."""
        return auto_class.from_pretrained(
            location,
            config=config,
            revision=info.revision,
            local_files_only=local_files_only,
            trust_remote_code=False,
            dtype=dtype,
            use_safetensors=True,
            output_loading_info=True,
            **attention,
        )

    with quiet():
        model, report = read_cache_first(info.name, read, reach_hub=info.source == "hub")
    # The pooler comes after the last block, and many encoder checkpoints lack it.
    return model, sorted(key for key in report["missing_keys"] if "pooler" not in key)


def load_tokenizer(info: ModelInfo, location: str) -> Any:
    """Load the model's fast tokenizer, truncating on the right. Raises ModelError if it has none."""
    from transformers import AutoTokenizer

    def read(local_files_only: bool) -> Any:
        return AutoTokenizer.from_pretrained(
            location, revision=info.revision, local_files_only=local_files_only, trust_remote_code=False
        )

    with quiet():
        tokenizer = read_cache_first(info.name, read, reach_hub=info.source == "hub")
    check_tokenizer(info, tokenizer)
    tokenizer.truncation_side = "right"
    return tokenizer


def check_tokenizer(info: ModelInfo, tokenizer: Any) -> None:
    """Raise ModelError for a tokenizer that is empty or returns no offsets into the text."""
    # Without its files, transformers makes up a tokenizer that has special tokens only.
    if len(tokenizer) == len(tokenizer.added_tokens_decoder):
        raise ModelError(f"model {info.name!r}: its tokenizer's files (tokenizer.json) are missing or empty")
    if not tokenizer.is_fast:
        raise ModelError(f"model {info.name!r} has no fast tokenizer, which is needed to locate tokens in a text")


def weights_digest(folder: Path) -> str:
    """Return one digest of all safetensors files of a local model."""
    return fingerprint({file.name: file_digest(file) for file in sorted(folder.glob("*.safetensors"))})


def _check_embedded(info: ModelInfo, location: str) -> None:
    if info.source != "embedded":
        return
    known = EMBEDDED[info.name]
    found = file_sha256(Path(location) / known.weights)
    if found != known.sha256:
        raise ModelError(
            f"model {info.name!r}: the weights in the package {known.package} are not the official ones "
            f"(SHA-256 {found}, expected {known.sha256}); reinstall the package"
        )


def skeleton(config: Any) -> Any:
    """Build the base model of a configuration without weights, on the meta device."""
    from transformers import AutoModel

    auto: Any = AutoModel
    with quiet(), torch.device("meta"):
        return auto.from_config(config).eval()


def text_part(model: Any) -> Any:
    """Return the encoder of an encoder-decoder, the language model of a multimodal one, else the model itself."""
    own = text_config(model.config)
    own.use_cache = False
    if all(isinstance(getattr(model, part, None), torch.nn.Module) for part in ("encoder", "decoder")):
        return model.encoder
    return model if own is model.config else model.get_decoder()


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress transformers' progress bars and warnings while it reads files."""
    from transformers.utils import logging as hf_logging

    logging: Any = hf_logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
