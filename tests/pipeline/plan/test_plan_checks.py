"""Checks of the plan before anything is loaded: devices, blocks, shapes of SAEs, numbers of latents."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from saefari.config import parse_config
from saefari.errors import ConfigError
from saefari.pipeline.plan.check_devices import device_warnings
from saefari.pipeline.plan.check_saes import latent_warnings
from saefari.pipeline.plan.make_plan import make_plan
from saefari.saes.ref import SaeRef
from saefari.saes.shape import SaeShape, sae_shape

from ..tiny import SHORT, Raw, plan_of


def mistakes(raw: Raw, **how: bool) -> str:
    """The problems of a configuration."""
    with pytest.raises(ConfigError) as caught:
        make_plan(parse_config(raw), **how)
    return str(caught.value)


@pytest.fixture
def n_gpus(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """n_gpus(n): pretend that CUDA has n GPUs and respects CUDA_VISIBLE_DEVICES."""

    def give(n: int) -> None:
        def count() -> int:
            named = os.environ.get("CUDA_VISIBLE_DEVICES")
            if named is None:
                return n
            shown = 0
            for part in named.split(","):
                if not part.strip().isdigit() or int(part) >= n:
                    break
                shown += 1
            return shown

        monkeypatch.setattr(torch.cuda, "device_count", count)

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return give


@pytest.mark.parametrize(
    ("n", "settings", "expected"),
    [
        (0, {"device": "cuda"}, "settings.device: 'cuda': this machine has 0 CUDA devices; use 'auto'"),
        (2, {"device": "cuda:3"}, "settings.device: 'cuda:3': this machine has 2 CUDA devices"),
        (4, {"device": "cuda:1", "cuda_visible_devices": "3"}, "settings.device: 'cuda:1': this machine has 1 CUDA"),
        (2, {"device": "auto", "cuda_visible_devices": "0,7"}, "settings.cuda_visible_devices: '0,7' names a GPU that"),
        (2, {"device": "auto", "cuda_visible_devices": "5"}, "this machine lacks: it has 2, numbered from 0"),
        (0, {"device": "cuda", "cuda_visible_devices": "0"}, "settings.device: 'cuda': this machine has 0"),
    ],
)
def test_missing_devices(
    raw: Raw, n_gpus: Callable[[int], None], n: int, settings: dict[str, Any], expected: str
) -> None:
    n_gpus(n)
    raw["settings"] |= settings
    assert expected in mistakes(raw)
    assert expected in mistakes(raw, dry_run=True)
    plan = make_plan(parse_config(raw), need_model=False)  # classification needs no device
    assert plan.warnings == []
    raw["settings"]["act_only"] = True  # but encoding does
    assert expected in mistakes(raw, need_model=False)
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


@pytest.mark.parametrize(
    ("n", "settings"),
    [
        (0, {"device": "auto"}),
        (2, {"device": "cpu", "cuda_visible_devices": "7"}),
        (2, {"device": "cuda:1"}),
        (2, {"device": "auto", "cuda_visible_devices": "1"}),
        (2, {"device": "auto", "cuda_visible_devices": "1,0,-1,5"}),
        (2, {"device": "auto", "cuda_visible_devices": "-1"}),
        (0, {"device": "auto", "cuda_visible_devices": "-1"}),
        (4, {"device": "cuda:1", "cuda_visible_devices": "3,2"}),
    ],
)
def test_existing_devices(raw: Raw, n_gpus: Callable[[int], None], n: int, settings: dict[str, Any]) -> None:
    n_gpus(n)
    raw["settings"] |= settings
    assert plan_of(raw).warnings == []


def test_gpus_on_a_machine_without_gpus_are_a_warning(raw: Raw, n_gpus: Callable[[int], None]) -> None:
    n_gpus(0)
    raw["settings"] |= {"device": "auto", "cuda_visible_devices": "0"}
    plan = plan_of(raw)
    assert plan.warnings == list(device_warnings(plan.config.settings))
    assert "'0' names GPUs, but this machine has none: using the CPU" in plan.warnings[0]


def test_unsupported_models_are_one_line_each(raw: Raw, tmp_path: Path) -> None:
    sizes = {"embedding_size": 8, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}
    transformers.AlbertConfig(vocab_size=20, **sizes).save_pretrained(tmp_path / "albert")
    transformers.WhisperConfig().save_pretrained(tmp_path / "whisper")
    raw["models"] = [{"name": str(tmp_path / name), "layers": [0]} for name in ("albert", "whisper")]
    message = mistakes(raw).splitlines()
    assert len(message) == 3
    assert "models[0].name: AlbertModel: found no list of 12 transformer blocks" in message[1]
    assert "models[1].name: model" in message[2]
    assert "reads input_features, not texts" in message[2]


def test_a_hook_point_that_a_model_lacks(raw: Raw, tmp_path: Path) -> None:
    config = transformers.MambaConfig(vocab_size=20, hidden_size=16, num_hidden_layers=2, state_size=4)
    config.save_pretrained(tmp_path / "mamba")
    raw["models"] = [{"name": str(tmp_path / "mamba"), "layers": [0]}]
    plan_of(raw)
    raw["settings"]["sae_location"] = "mlp"
    assert "models[0].name: blocks.0.hook_mlp_out: found no attention in MambaBlock" in mistakes(raw)


def test_many_layers_beyond_the_model_are_one_line(raw: Raw) -> None:
    raw["models"][0] |= {"layers": list(range(1000)), "widths": ["16k"]}
    raw["sae_training"] = []
    (line,) = mistakes(raw).splitlines()[1:]
    assert line.startswith("  models[0].layers[4]: 4 and 995 more: ")
    assert line.endswith("has the layers 0 to 3")


def test_an_sae_of_another_model_is_found_by_its_cfg(raw: Raw, tmp_path: Path, save_sae: Callable[..., Any]) -> None:
    save_sae(tmp_path / "sae", "blocks.1.hook_resid_post", 48)
    raw["models"][0] |= {"layers": [1], "widths": ["64"], "sae_path": str(tmp_path / "sae")}
    message = mistakes(raw)
    assert "models[0].widths[0]: '64' at layer 1: the SAE in" in message
    assert "takes vectors of 48 values, but hidden states of" in message
    assert "have 32: it was trained on another model" in message
    save_sae(tmp_path / "sae", "blocks.1.hook_resid_post", 32)
    plan_of(raw)


def test_an_sae_of_another_model_is_found_by_the_catalogue(raw: Raw) -> None:
    raw["models"][0] |= {"layers": [1], "widths": ["24k"], "sae_release": "gpt2-small-res-jb"}
    message = mistakes(raw)
    assert "gpt2-small-res-jb/blocks.1.hook_resid_pre takes vectors of 768 values" in message


def test_shapes_are_known_before_loading(tmp_path: Path, save_sae: Callable[..., Any]) -> None:
    save_sae(tmp_path / "topk", "blocks.1.hook_resid_post", 32, 96, "topk", k=5)
    assert sae_shape(SaeRef(1, "x", path=str(tmp_path / "topk"))) == SaeShape(32, 96, 5)
    older = {"d_in": 8, "d_sae": 16, "activation_fn_str": "topk", "activation_fn_kwargs": {"k": 3}}
    (tmp_path / "topk" / "cfg.json").write_text(json.dumps(older))
    assert sae_shape(SaeRef(1, "x", path=str(tmp_path / "topk"))) == SaeShape(8, 16, 3)
    for content in ("{", "[]", '{"d_in": "8"}'):
        (tmp_path / "topk" / "cfg.json").write_text(content)
        assert sae_shape(SaeRef(1, "x", path=str(tmp_path / "topk"))) == SaeShape()
    gpt2 = SaeRef(8, "24k", release="gpt2-small-res-jb", sae_id="blocks.8.hook_resid_pre")
    assert sae_shape(gpt2) == SaeShape(768, 24_576, None)
    assert sae_shape(SaeRef(8, "24k", release="none", sae_id="none")) == SaeShape()


def test_too_many_latents_are_a_warning(raw: Raw, tmp_path: Path, save_sae: Callable[..., Any]) -> None:
    save_sae(tmp_path / "sae", "blocks.1.hook_resid_post", 32, 96, "topk", k=5)
    raw["models"][0] |= {"layers": [1], "widths": ["96"], "sae_path": str(tmp_path / "sae")}
    raw["sae_training"] = [{"name": "mine", "d_sae": 48, **SHORT}]
    raw["classification_params"] = {
        "top_n_values": [0, -1, 5, 6, 50],
        "select_k": [None, 48, 64, 97],
        "extra_top_n": 200,
    }
    assert [warning.replace("classification_params.", "") for warning in latent_warnings(plan_of(raw))] == [
        "top_n_values[3]: 6 is more than the latents that can be active at a position in layer 1 96 (5): "
        "all are counted, as with -1",
        "top_n_values[4]: 50 is more than the latents that can be active at a position in layer 1 96 (5), "
        "layer 1 mine (48): all are counted, as with -1",
        "extra_top_n: 200 is more than the latents that can be active at a position in layer 1 96 (5), "
        "layer 1 mine (48): all are counted, as with -1",
        "select_k[2]: 64 is more than the number of latents of layer 1 mine (48): all are kept",
        "select_k[3]: 97 is more than the number of latents of layer 1 96 (96), layer 1 mine (48): all are kept",
    ]
    fits = copy.deepcopy(raw) | {"classification_params": {"top_n_values": [0, 5], "select_k": [48]}}
    assert list(latent_warnings(plan_of(fits))) == []
