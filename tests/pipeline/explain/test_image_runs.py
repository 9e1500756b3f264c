"""Runs that explain latents of images: names by class and position, synthesised images, and a client that sees."""

from __future__ import annotations

import base64
import json
import re
import shutil
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from saefari.pipeline.commands.cli import BAD_INPUT, OK, main
from saefari.store.synthesised_images import read_synthesised_image, synthesised_image_path
from tests.interp.endpoint import Endpoint, Received, Reply, answer
from tests.pipeline.explain.conftest import LATENTS, latent_files, record_of, run, sae_folder, write_config
from tests.pipeline.tiny import SHORT, tiny_settings
from tests.tiny_vision import save_colours, save_vit

IMAGES = LATENTS | {"latents": list(range(12)), "explainers": ["lexical"], "scorers": [], "synthesise": True}
REGION = re.compile(r"class(es)? |various classes|no common class or position")
NAME = {"name": "red noise", "explanation": "Patches of red noise."}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on images with lexical explanations and synthesised images."""
    root = tmp_path_factory.mktemp("images")
    vit = save_vit(root / "tiny-vit", "vit")
    write_config(
        root,
        {
            "settings": tiny_settings(root, model_type="vit", image_workers=0),
            "models": [{"name": str(vit), "layers": [1], "widths": ["48"], "sae_train": SHORT | {"n_positions": 1024}}],
            "datasets": [{"name": str(save_colours(root / "colours", 60)), "image_field": "image"}],
            "explain": IMAGES,
        },
    )
    assert run(root) == OK
    return root


@pytest.fixture
def images(finished: Path, tmp_path: Path) -> Path:
    """A copy of the run, for tests that change it."""
    root = tmp_path / finished.name
    shutil.copytree(finished, root)
    write_config(root, yaml.safe_load((root / "conf.yaml").read_text().replace(str(finished), str(root))))
    return root


def change(root: Path, **explain: Any) -> None:
    raw = yaml.safe_load((root / "conf.yaml").read_text())
    raw["explain"] |= explain
    write_config(root, raw)


def explain(root: Path) -> int:
    return main(["explain", "--config", str(root / "conf.yaml")])


def test_latents_are_named_by_classes_and_positions(finished: Path) -> None:
    files = latent_files(finished)
    assert len(files) >= 3
    assert all(REGION.search(one["name"]) and one["explanation"].endswith(".") for one in files.values())
    assert all(set(one["counts"]["classes"]) == {"blue", "red"} for one in files.values())


def test_every_explained_latent_has_an_image_of_the_size_that_the_model_reads(finished: Path) -> None:
    for latent, one in latent_files(finished).items():
        made = read_synthesised_image(sae_folder(finished), latent)
        assert made is not None
        assert (made.activation, made.others_mean) == (one["synthesis"]["activation"], one["synthesis"]["others_mean"])
        assert made.strongest_real > 0
        assert made.others_mean >= 0
        with Image.open(BytesIO(made.png)) as opened:
            assert (opened.format, opened.size) == ("PNG", (32, 32))
    assert not list((finished / "explanations").rglob("*random/*.png"))


def test_finished_images_are_kept_and_missing_ones_made_again(images: Path) -> None:
    kept, lost = sorted(latent_files(images))[:2]
    before = synthesised_image_path(sae_folder(images), lost).read_bytes()
    (sae_folder(images) / "explanations.json").unlink()
    synthesised_image_path(sae_folder(images), lost).unlink()
    synthesised_image_path(sae_folder(images), kept).write_bytes(b"kept from before")
    assert explain(images) == OK
    assert synthesised_image_path(sae_folder(images), kept).read_bytes() == b"kept from before"
    assert synthesised_image_path(sae_folder(images), lost).is_file()
    assert len(before) > 100


def test_without_synthesise_no_image_is_shown(images: Path) -> None:
    change(images, synthesise=False)
    assert explain(images) == OK
    assert all(read_synthesised_image(sae_folder(images), latent) is None for latent in latent_files(images))


def test_text_models_cannot_synthesise(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(copy, synthesise=True)
    assert explain(copy) == BAD_INPUT
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "explain.synthesise" in line]
    assert "model_type vit only; this run has llm" in line


def replies(request: Received) -> Reply:
    wanted = re.findall(r"JSON list of (\d+) values", json.dumps(request.body["messages"]))
    return answer(json.dumps([i % 2 for i in range(int(wanted[-1]))]) if wanted else json.dumps(NAME))


def test_a_client_that_sees_gets_the_images(images: Path) -> None:
    with Endpoint(replies) as server:
        client = {"base_url": server.url, "model": "test-model", "key_variable": None, "attempts": 1, "timeout": 20}
        asking = {"explainers": ["prompted"], "scorers": ["detection"], "controls": [], "synthesise": False}
        change(images, client=client, **asking)
        assert explain(images) == OK
        assert server.requests
        for request in server.requests:
            parts = [p for m in request.body["messages"] if isinstance(m["content"], list) for p in m["content"]]
            sent = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
            assert sent
            for url in sent:
                kind, data = url.split(",", 1)
                assert kind.startswith("data:image/")
                with Image.open(BytesIO(base64.b64decode(data))) as opened:
                    assert opened.width >= 32
    files = latent_files(images)
    assert record_of(images)["n_explained"] == len(files)
    everywhere = [latent for latent, one in files.items() if not one["contexts"]["inactive"]]
    assert everywhere
    assert len(everywhere) < len(files)
    for latent, one in files.items():
        assert (one["name"], one["explainer"]) == (NAME["name"], "prompted")
        assert ("detection" in one["scores"]) == (latent not in everywhere)
    failures = record_of(images)["failures"]
    assert [(one["latent"], one["is_possible"]) for one in failures] == [(latent, False) for latent in everywhere]
