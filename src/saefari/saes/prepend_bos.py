"""Whether an SAE was trained with BOS before every text, read from its metadata without loading it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saefari.errors import SaeError
from saefari.saes.entries import catalogue
from saefari.saes.ref import SaeRef

_FIRST_WITHOUT_DEFAULT = 6
"""From this version on, sae-lens takes a config without `prepend_bos` as it is; older ones mean True."""


def prepends_bos(ref: SaeRef, reach_hub: bool = True) -> bool | None:
    """`prepend_bos` of an SAE's metadata; None where it says nothing.

    Of a local folder its cfg.json is read, of a release in sae-lens' own format the cfg.json on the hub, in the local
    cache first. sae-lens' loaders of all other formats say True, whichever the SAE (tests/saes/test_bos.py).
    Raises SaeError where the cfg.json cannot be had.
    """
    if ref.path is not None:
        return bos_in_config(_read(Path(ref.path, "cfg.json"), ref))
    record = catalogue()[str(ref.release)]
    if record.get("conversion_func"):
        return True
    (sae,) = (sae for sae in record["saes"] if sae["id"] == ref.sae_id)
    file = _downloaded(ref, str(record["repo_id"]), f"{sae['path']}/cfg.json", reach_hub)
    return bos_in_config({**_read(file, ref), **(record.get("config_overrides") or {})})


def disagreement(said: Mapping[SaeRef, bool | None]) -> str | None:
    """Say which SAEs of one model, each with its `prepend_bos`, want different texts; None where they agree."""
    first = {wanted: ref for ref, wanted in reversed(list(said.items()))}
    if not {True, False} <= set(first):
        return None
    one, other = (f"{ref.width!r} of layer {ref.layer} ({ref.title})" for ref in (first[True], first[False]))
    return (
        f"the metadata of two SAEs disagree: {one} was trained with BOS before every text, {other} without. "
        "Say add_bos: true or false, or give each a run with another settings.base_save_dir"
    )


def bos_in_config(config: Mapping[str, Any]) -> bool | None:
    """`prepend_bos` as sae-lens takes it from the content of a cfg.json."""
    metadata = config.get("metadata") or {}
    stated = metadata.get("prepend_bos", config.get("prepend_bos"))
    if stated is not None:
        return bool(stated)
    version = str(config.get("sae_lens_version") or metadata.get("sae_lens_version") or "0")
    major = version.split(".")[0]
    return True if not major.isdigit() or int(major) < _FIRST_WITHOUT_DEFAULT else None


def _read(file: Path, ref: SaeRef) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SaeError(f"{ref.title}: cfg.json cannot be read ({error})") from None
    return config


def _downloaded(ref: SaeRef, repo: str, name: str, reach_hub: bool) -> Path:
    """A file of the hub: from the cache, else, if allowed, from the hub."""
    from huggingface_hub import hf_hub_download

    try:
        try:
            return Path(hf_hub_download(repo, name, local_files_only=True))
        except OSError:
            if not reach_hub:
                raise
            return Path(hf_hub_download(repo, name))
    except OSError as error:
        reason = str(error).strip().split("\n")[0]
        raise SaeError(
            f"{ref.title}: whether it was trained with BOS is not known, its cfg.json cannot be reached ({reason})"
        ) from None
