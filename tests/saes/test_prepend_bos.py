"""`prepend_bos` of an SAE's metadata, read without loading it, against sae-lens."""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saefari.errors import SaeError
from saefari.saes.entries import catalogue, entries
from saefari.saes.prepend_bos import bos_in_config, disagreement, prepends_bos
from saefari.saes.ref import SaeRef

BASE = {"architecture": "standard", "d_in": 4, "d_sae": 8, "dtype": "float32", "normalize_activations": "none"}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"metadata": {"prepend_bos": True, "sae_lens_version": "6.54.0"}}, True),
        ({"metadata": {"prepend_bos": False, "sae_lens_version": "6.54.0"}}, False),
        ({"metadata": {"sae_lens_version": "6.54.0"}}, None),
        ({"hook_name": "blocks.1.hook_resid_pre", "prepend_bos": False, "sae_lens_version": "3.2.1"}, False),
        ({"hook_name": "blocks.1.hook_resid_pre", "prepend_bos": True}, True),
        ({"hook_point": "blocks.1.hook_resid_pre"}, True),
        ({"hook_name": "blocks.1.hook_resid_pre", "sae_lens_version": "5.10.3"}, True),
    ],
)
def test_configs_are_read_as_by_sae_lens(config: dict[str, Any], expected: bool | None) -> None:
    from sae_lens.loading.pretrained_sae_loaders import handle_config_defaulting

    full_config = BASE | config
    assert handle_config_defaulting(copy.deepcopy(full_config))["metadata"].get("prepend_bos") is expected
    assert bos_in_config(full_config) is expected


@pytest.mark.parametrize("wanted", [True, False, None])
def test_prepend_bos_of_a_local_folder(wanted: bool | None, tmp_path: Path, save_sae: Callable[..., Any]) -> None:
    save_sae(tmp_path, "blocks.1.hook_resid_post", 8, metadata={} if wanted is None else {"prepend_bos": wanted})
    assert prepends_bos(SaeRef(1, "64", path=str(tmp_path))) is wanted
    (tmp_path / "cfg.json").write_text("{")
    with pytest.raises(SaeError, match=r"cfg\.json cannot be read"):
        prepends_bos(SaeRef(1, "64", path=str(tmp_path)))


def test_loaders_of_other_formats_set_true() -> None:
    """Each sets it in its config, or relies on sae-lens' default for old configs, which is True."""
    from sae_lens.loading.pretrained_sae_loaders import NAMED_PRETRAINED_SAE_CONFIG_GETTERS, handle_config_defaulting

    kinds = {catalogue()[entry.release].get("conversion_func") for entry in entries()} - {None}
    assert {"gemma_2", "gemma_3", "llama_scope", "dictionary_learning_1"} <= kinds
    for kind in kinds:
        source = inspect.getsource(NAMED_PRETRAINED_SAE_CONFIG_GETTERS[kind])
        assert '"prepend_bos": True' in source or "prepend_bos" not in source, kind
    assert handle_config_defaulting(BASE | {"hook_name": "blocks.1.hook_resid_pre"})["metadata"]["prepend_bos"] is True
    one = next(entry for entry in entries() if entry.release == "gemma-scope-2b-pt-res-canonical")
    assert prepends_bos(SaeRef(one.layer, one.width, one.release, one.sae_id)) is True


def test_prepend_bos_of_a_release_in_sae_lens_own_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    ref = SaeRef(8, "24k", "gpt2-small-res-jb", "blocks.8.hook_resid_pre")
    with pytest.raises(SaeError, match=r"cfg\.json cannot be reached"):
        prepends_bos(ref)
    calls = []

    def download(repo: str, name: str, **options: Any) -> str:
        calls.append((repo, name, options))
        if options:
            raise FileNotFoundError("not cached")
        (tmp_path / "cfg.json").write_text(json.dumps({"hook_point": "blocks.8.hook_resid_pre", "prepend_bos": False}))
        return str(tmp_path / "cfg.json")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    assert prepends_bos(ref) is False
    file = ("jbloom/GPT2-Small-SAEs-Reformatted", "blocks.8.hook_resid_pre/cfg.json")
    assert calls == [(*file, {"local_files_only": True}), (*file, {})]
    with pytest.raises(SaeError, match="not cached"):
        prepends_bos(ref, reach_hub=False)


def test_disagreement_names_both_saes() -> None:
    one, two, silent = (SaeRef(layer, "64", path=f"sae-{layer}") for layer in (1, 2, 3))
    assert disagreement({one: True, two: True, silent: None}) is None
    assert disagreement({one: None}) is None
    message = disagreement({one: False, silent: None, two: True})
    assert message is not None
    assert "'64' of layer 2 (the SAE in 'sae-2') was trained with BOS before every text, '64' of layer 1" in message
