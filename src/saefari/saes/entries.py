"""The entries of sae-lens' catalogue: each SAE with its model, hook point and width."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from saefari.errors import SaeError

_HOOKS = {
    "res": "hook_resid_post",
    "resid_post": "hook_resid_post",
    "mlp": "hook_mlp_out",
    "mlp_out": "hook_mlp_out",
    "att": "attn.hook_z",
    "attn_out": "attn.hook_z",
}
_LLAMA_SCOPE_HOOKS = {"r": "hook_resid_post", "m": "hook_mlp_out", "a": "hook_attn_out"}
_CHECKPOINT = re.compile(r"_step_\d+$")


@dataclass(frozen=True)
class Entry:
    """One SAE of the catalogue."""

    release: str
    sae_id: str
    model: str
    """The model's `model_key`."""
    layer: int
    hook: str
    """Within the block, in TransformerLens' spelling: 'hook_resid_post', 'attn.hook_z' …"""
    d_sae: int | None
    l0: float | None
    variance_explained: float | None
    neuronpedia_id: str | None
    is_study: bool

    @property
    def hook_name(self) -> str:
        return f"blocks.{self.layer}.{self.hook}"

    @property
    def width(self) -> str:
        """Usual name of the width: '16k', '65k', '1m'."""
        return width_names(self.d_sae)[0] if self.d_sae else "unknown"


def model_key(name: str) -> str:
    """Normalise a model name: 'google/gemma-2-2b', './models/gemma-2-2b' and 'gemma-2-2b' give the same key.

    A vision-language model gets the key of its language model.
    """
    last = name.rstrip("/").split("/")[-1].lower()
    aliases: dict[str, str] = _supplement()["aliases"]
    language_models: dict[str, str] = _supplement()["language_models"]
    return next((model for start, model in language_models.items() if last.startswith(start)), aliases.get(last, last))


def d_model_of(entry: Entry) -> int | None:
    """Return the hidden size of the model that an SAE was trained on; None if unknown.

    Also None for SAEs of the heads' outputs, whose input has another length.
    """
    sizes: dict[str, int] = _supplement()["d_model"]
    return None if entry.hook == "attn.hook_z" else sizes.get(entry.model)


def width_names(d_sae: int) -> tuple[str, ...]:
    """Return the accepted names of a width: 65536 is '65k' (thousands, rounded down), '64k' (binary) or '65536'."""
    names = [f"{d_sae // size}{unit}" for size, unit in ((1_000_000, "m"), (1_000, "k")) if d_sae >= size]
    binary = [f"{d_sae // 1024}k"] if d_sae % 1024 == 0 else []
    return tuple(dict.fromkeys([*names[:1], *binary, str(d_sae)]))


@cache
def entries() -> tuple[Entry, ...]:
    """Return every SAE of the installed sae-lens whose input is one hidden state, in the catalogue's order.

    Reads its package data, since importing sae-lens takes seconds. Raises SaeError if it is not installed.
    """
    return tuple(entry for release, record in catalogue().items() for entry in _entries(release, record))


@cache
def catalogue() -> Mapping[str, Any]:
    """Read sae-lens' catalogue file: release name -> record."""
    spec = find_spec("sae_lens")
    if spec is None or not spec.submodule_search_locations:
        raise SaeError("sae-lens is not installed, so its catalogue of SAEs is missing: pip install sae-lens")
    path = Path(spec.submodule_search_locations[0], "pretrained_saes.yaml")
    record: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=_loader())
    return record


@cache
def _supplement() -> dict[str, Any]:
    record: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("catalogue.yaml").read_text(encoding="utf-8"))
    return record


def _loader() -> Any:
    """Return the C loader, five times faster, if PyYAML has it."""
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _entries(release: str, record: Mapping[str, Any]) -> Iterator[Entry]:
    supplement = _supplement()
    if record.get("conversion_func") in supplement["unsupported_loaders"] or "transcoder" in release:
        return
    model = model_key(supplement["models"].get(release, record["model"]))
    for sae in record["saes"]:
        sae_id, path = sae["id"], str(sae["path"])
        site = _layer_and_hook(release, sae_id)
        if site is None or _CHECKPOINT.search(sae_id):
            continue
        l0 = re.search(r"average_l0_(\d+)", path)
        explained = sae.get("variance_explained")
        yield Entry(
            release=release,
            sae_id=sae_id,
            model=model,
            layer=site[0],
            hook=site[1],
            d_sae=_d_sae(release, model, sae_id, path, str(record["repo_id"]), sae.get("neuronpedia") or ""),
            l0=float(sae["l0"]) if sae.get("l0") else float(l0[1]) if l0 else None,
            variance_explained=float(explained) if explained is not None and explained < 1 else None,
            neuronpedia_id=sae.get("neuronpedia"),
            is_study=release.startswith(tuple(supplement["studies"])),
        )


def _layer_and_hook(release: str, sae_id: str) -> tuple[int, str] | None:
    """Parse layer and hook point from the id, or from the release if the id has no site; None for embeddings."""
    if match := re.match(r"blocks\.(\d+)\.(hook_[a-z]+(?:_[a-z]+)?)", sae_id):
        return int(match[1]), "attn.hook_z" if match[2] == "hook_z" else match[2]
    if match := re.match(r"l(\d+)([rma])_", sae_id):
        return int(match[1]), _LLAMA_SCOPE_HOOKS[match[2]]
    if match := re.match(r"(?:(resid_post|mlp_out|attn_out)[_/])?layer_?(\d+)", sae_id):
        named = re.search(r"-(res|mlp|att)(?:-|$)", release)
        return int(match[2]), _HOOKS[match[1] or (named[1] if named else "res")]
    return None


def _d_sae(release: str, model: str, sae_id: str, path: str, repo_id: str, neuronpedia_id: str) -> int | None:
    """Parse the number of latents from the SAE's names; None if none contains it."""
    supplement = _supplement()
    if release in supplement["d_sae"]:
        return int(supplement["d_sae"][release])
    if match := re.search(r"_(\d+)x$", sae_id):
        return int(match[1]) * int(supplement["d_model"][model])
    if match := re.search(r"2pow(\d+)", release):
        return int(2 ** int(match[1]))
    if match := re.search(r"hook_\w+?_(\d{3,})|_ds(\d+)_", f"{sae_id} {path}"):
        return int(match[1] or match[2])
    if match := re.search(r"-w-?(\d+)k-", f"{release} {repo_id}"):
        return int(match[1]) * 1024
    rounded = (r"width_(\d+)([km])", sae_id), (r"-(\d+)(k)$", release), (r"-(\d+)(k)(?:$|__)", neuronpedia_id)
    for pattern, text in rounded:
        if match := re.search(pattern, text):
            return _power_of_two(int(match[1]) * (1_000 if match[2] == "k" else 1_000_000))
    return None


def _power_of_two(rounded: int) -> int:
    """Return the power of two nearest a rounded width: 65,000 -> 65,536; 1,000,000 -> 1,048,576."""
    return 1 << round(math.log2(rounded))
