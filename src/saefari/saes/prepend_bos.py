"""Read from its metadata whether an SAE was trained with BOS before every text, without loading it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saefari.errors import SaeError
from saefari.saes.entries import catalogue
from saefari.saes.ref import SaeRef

_FIRST_WITHOUT_DEFAULT = 6
"""First major version of sae-lens that sets no default for `prepend_bos`; older ones default to True."""


def prepends_bos(ref: SaeRef, reach_hub: bool = True) -> bool | None:
    """Return `prepend_bos` of an SAE's metadata; None if it is not set.

    Reads the cfg.json of a local folder or, for releases in sae-lens' own format, of the hub or its local cache.
    sae-lens' loaders of all other formats always set True (tests/saes/test_prepend_bos.py). Raises SaeError if the
    cfg.json cannot be read.
    """
    if ref.path is not None:
        return bos_in_config(_read(Path(ref.path, "cfg.json"), ref))
    record = catalogue()[str(ref.release)]
    if record.get("conversion_func"):
        return True
    (sae,) = (sae for sae in record["saes"] if sae["id"] == ref.sae_id)
    file = _download(ref, str(record["repo_id"]), f"{sae['path']}/cfg.json", reach_hub)
    return bos_in_config({**_read(file, ref), **(record.get("config_overrides") or {})})


def disagreement(prepend_bos: Mapping[SaeRef, bool | None]) -> str | None:
    """Describe two SAEs of one model whose `prepend_bos` differ; None if all agree."""
    first = {value: ref for ref, value in reversed(list(prepend_bos.items()))}
    if not {True, False} <= set(first):
        return None
    one, other = (f"{ref.width!r} of layer {ref.layer} ({ref.title})" for ref in (first[True], first[False]))
    return (
        f"the metadata of two SAEs disagree: {one} was trained with BOS before every text, {other} without. "
        "Set add_bos: true or false, or use a separate run with another settings.base_save_dir for each"
    )


def bos_in_config(config: Mapping[str, Any]) -> bool | None:
    """Return `prepend_bos` as sae-lens reads it from the content of a cfg.json."""
    metadata = config.get("metadata") or {}
    stored = metadata.get("prepend_bos", config.get("prepend_bos"))
    if stored is not None:
        return bool(stored)
    version = str(config.get("sae_lens_version") or metadata.get("sae_lens_version") or "0")
    major = version.split(".")[0]
    return True if not major.isdigit() or int(major) < _FIRST_WITHOUT_DEFAULT else None


def _read(file: Path, ref: SaeRef) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SaeError(f"{ref.title}: cfg.json cannot be read ({error})") from None
    return config


def _download(ref: SaeRef, repo: str, name: str, reach_hub: bool) -> Path:
    """Return a hub file from the cache or, if `reach_hub`, from the hub."""
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
            f"{ref.title}: cannot tell whether it was trained with BOS: its cfg.json cannot be reached ({reason})"
        ) from None
