"""Loading of SAEs, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from saefari.errors import SaeError
from saefari.models.hooks import HookPoint
from saefari.saes.encode import encode
from saefari.saes.load import check_width, load_sae
from saefari.saes.local import find_local_sae
from saefari.saes.ref import SaeRef


def save(loaded: Any, folder: Path, **metadata: Any) -> SaeRef:
    for key, value in metadata.items():
        setattr(loaded.sae.cfg.metadata, key, value)
    loaded.sae.save_model(folder)
    return SaeRef(layer=1, width="40", path=str(folder))


def test_metadata_decides_hook_and_centring(make_sae: Any, tmp_path: Path) -> None:
    ref = save(
        make_sae("standard"),
        tmp_path,
        hook_name="blocks.1.hook_resid_pre",
        model_from_pretrained_kwargs={"center_writing_weights": True},
    )
    loaded = load_sae(ref)
    assert loaded.hook == HookPoint(1, "resid_pre")
    assert loaded.center
    assert (loaded.d_in, loaded.d_sae, loaded.architecture) == (12, 40, "standard")


def test_heads_outputs_are_not_centred(make_sae: Any, tmp_path: Path, hidden: torch.Tensor) -> None:
    original = make_sae("standard")
    original.sae.cfg.reshape_activations = "hook_z"
    ref = save(
        original,
        tmp_path,
        hook_name="blocks.1.attn.hook_z",
        model_from_pretrained_kwargs={"center_writing_weights": True},
    )
    loaded = load_sae(ref)
    assert not loaded.center
    assert encode(loaded, hidden).n_positions == len(hidden)


def test_loaded_weights_are_float32_and_frozen(make_sae: Any, tmp_path: Path) -> None:
    original = make_sae("jumprelu")
    original.sae.to(torch.bfloat16)
    loaded = load_sae(save(original, tmp_path, hook_name="blocks.1.hook_resid_post"))
    assert {p.dtype for p in loaded.sae.parameters()} == {torch.float32}
    assert not any(p.requires_grad for p in loaded.sae.parameters())


def test_another_layer_is_refused(make_sae: Any, tmp_path: Path) -> None:
    ref = save(make_sae("standard"), tmp_path, hook_name="blocks.3.hook_resid_post")
    with pytest.raises(SaeError, match="is layer 3, not layer 1"):
        load_sae(ref)


def test_unknown_hook_points_are_refused(make_sae: Any, tmp_path: Path) -> None:
    ref = save(make_sae("standard"), tmp_path, hook_name="blocks.1.ln2.hook_normalized")
    with pytest.raises(SaeError, match=r"ln2\.hook_normalized"):
        load_sae(ref)


def test_missing_hook_point_is_an_error(make_sae: Any, tmp_path: Path) -> None:
    with pytest.raises(SaeError, match="names no hook point"):
        load_sae(save(make_sae("standard"), tmp_path))


def test_signed_architectures_are_refused(make_sae: Any, tmp_path: Path) -> None:
    ref = save(make_sae("abstopk", k=3), tmp_path, hook_name="blocks.1.hook_resid_post")
    with pytest.raises(SaeError, match="'abstopk' is not supported"):
        load_sae(ref)


def test_the_error_of_an_unreachable_sae_gives_place_and_reason(tmp_path: Path) -> None:
    with pytest.raises(SaeError, match=r"empty.*cannot be loaded.*cfg\.json"):
        load_sae(SaeRef(layer=0, width="1k", path=str(tmp_path / "empty")))
    with pytest.raises(SaeError, match=r"gpt2-small-res-jb/blocks\.0\.hook_resid_pre.*network"):
        load_sae(SaeRef(layer=0, width="24k", release="gpt2-small-res-jb", sae_id="blocks.0.hook_resid_pre"))


def test_vectors_of_another_length_are_refused(make_sae: Any) -> None:
    check_width(make_sae("standard"), 12, "tiny")
    with pytest.raises(SaeError, match=r"takes vectors of 12 values, but blocks\.1\.hook_resid_post of 'tiny' has 16"):
        check_width(make_sae("standard"), 16, "tiny")


def test_fingerprint_is_json_without_paths_and_depends_on_the_weights(make_sae: Any, tmp_path: Path) -> None:
    ref = save(make_sae("standard"), tmp_path / "3k", hook_name="blocks.1.hook_resid_post")
    first, again = load_sae(ref).fingerprint(), load_sae(ref).fingerprint()
    assert first == again
    assert str(tmp_path) not in json.dumps(first)
    assert first["folder"] == "3k"
    changed = load_sae(ref)
    changed.sae.b_enc[3] += 1e-3
    assert changed.fingerprint()["weights_sha256"] != first["weights_sha256"]


def test_local_folder_is_checked_without_loading(make_sae: Any, tmp_path: Path) -> None:
    save(make_sae("standard"), tmp_path / "1" / "40", hook_name="blocks.1.hook_resid_post")
    template = str(tmp_path / "{layer}" / "{width}")
    ref = find_local_sae(template, 1, "40", "res")
    assert (ref.hook, ref.hook_is_assumed) == ("blocks.1.hook_resid_post", False)
    assert load_sae(ref).d_sae == 40
    assert find_local_sae(template, 1, "40", "mlp") == ref
    with pytest.raises(SaeError, match=r"no SAELens folder: cfg\.json is missing"):
        find_local_sae(template, 2, "40", "res")
    with pytest.raises(SaeError, match="is layer 1, not layer 2"):
        find_local_sae(str(tmp_path / "1" / "{width}"), 2, "40", "res")


@pytest.mark.parametrize(
    ("location", "hook"), [("res", "hook_resid_post"), ("mlp", "hook_mlp_out"), ("att", "attn.hook_z")]
)
def test_a_folder_without_hook_point_gets_the_configured_one(
    make_sae: Any, tmp_path: Path, location: Any, hook: str
) -> None:
    save(make_sae("standard"), tmp_path / "2")
    ref = find_local_sae(str(tmp_path / "{layer}"), 2, "40", location)
    assert (ref.hook, ref.hook_is_assumed) == (f"blocks.2.{hook}", True)
    assert load_sae(ref).hook.name == ref.hook
