"""New texts and images are classified as the run classified its test rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

import saefari
from saefari.errors import DataError, SaeError, SaefariError
from saefari.pipeline.commands.cli import run_experiments
from tests.pipeline.tiny import tiny_settings
from tests.tiny_vision import picture, save_vit


@pytest.mark.parametrize("source", ["sae", "hidden", "tfidf", "majority"])
def test_test_rows_get_their_stored_predictions(tree: saefari.Tree, source: str) -> None:
    for row in tree.results(source=source).itertuples():
        result = tree.result(row.folder, row.classifier)
        stored = result.predictions().drop(columns=["id", "label"])
        live = result.predict(result.texts(stored.index))
        assert live["predicted"].tolist() == stored["predicted"].tolist()
        assert live.index.equals(stored.index)
        pd.testing.assert_frame_equal(live, stored, check_dtype=False, rtol=0, atol=2e-6)
        assert source == "majority" or stored["probability:odd"].nunique() > 1


def test_predictions_depend_on_the_text_alone(tree: saefari.Tree) -> None:
    result = tree.best(source="sae", classifier="linear")
    texts = ["the big cat sat", "", "river under the tree"]
    table = result.predict(texts)
    assert table.index.tolist() == [0, 1, 2]
    assert list(table) == ["predicted", "probability:even", "probability:odd"]
    np.testing.assert_allclose(table.filter(like="probability:").sum(axis=1), 1)
    pd.testing.assert_frame_equal(result.predict(texts[::-1])[::-1].reset_index(drop=True), table)
    assert result.predict([]).empty
    assert list(result.predict([])) == list(table)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"texts": "the cat"}, TypeError, r"texts: expected a list, not a single str: give \[text\]"),
        ({"texts": ["the cat", None]}, TypeError, r"texts\[1\]: expected str, not NoneType"),
        ({}, TypeError, "give texts, images, or both"),
        ({"images": "a.png"}, TypeError, r"images: expected a list, not a single str: give \[image\]"),
        ({"texts": ["a"], "images": ["a.png", "b.png"]}, ValueError, "1 texts and 2 images"),
    ],
)
def test_arguments_of_another_kind(tree: saefari.Tree, given: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        tree.best(source="tfidf").predict(**given)


def test_a_random_control_says_why_it_cannot(tree: saefari.Tree) -> None:
    with pytest.raises(SaeError, match="random control"):
        tree.best(source="random_sae").predict(["the cat"])


def test_a_model_that_moved_is_named_by_its_path(tree: saefari.Tree, tmp_path: Path, monkeypatch: Any) -> None:
    result = saefari.open_tree(tree.output.absolute()).best(source="hidden", classifier="linear")
    expected = result.predict(["the cat"])
    model = Path("models/tiny-bert").absolute()
    monkeypatch.chdir(tmp_path)
    from saefari.pipeline.live import load

    load.live_model.cache_clear()
    with pytest.raises(SaefariError, match=r"give its path as the model|is not on this machine"):
        result.predict(["the cat"])
    pd.testing.assert_frame_equal(result.predict(["the cat"], model=str(model)), expected)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run over 24 images."""
    root = tmp_path_factory.mktemp("images")
    save_vit(root / "tiny-vit", "vit")
    for number in range(24):
        noise = picture(30, 40, seed=number)
        Image.blend(noise, Image.new("RGB", noise.size, ["blue", "red"][number % 2]), 0.4).save(root / f"{number}.png")
    rows = [f"{number}.png,{['blue', 'red'][number % 2]}" for number in range(24)]
    (root / "rows.csv").write_text("\n".join(["image,label", *rows]))
    training = {"k": 4, "n_positions": 1024, "batch_size": 256, "buffer_size": 256}
    raw = {
        "settings": tiny_settings(root, model_type="vit", image_workers=0),
        "models": [{"name": str(root / "tiny-vit"), "layers": [1], "widths": ["48"], "sae_train": training}],
        "datasets": [{"name": str(root / "rows.csv"), "image_field": "image"}],
    }
    (root / "conf.yaml").write_text(yaml.safe_dump(raw))
    assert run_experiments(["--config", str(root / "conf.yaml")]) == 0
    return root


def test_images_get_their_stored_predictions(images: Path) -> None:
    result = saefari.open_tree(images).best(source="sae", classifier="linear")
    stored = result.predictions()
    files = [images / f"{row}.png" for row in stored.index]
    live = result.predict(images=files, model=str(images / "tiny-vit"))
    assert live["predicted"].tolist() == stored["predicted"].tolist()
    np.testing.assert_allclose(live["probability:red"], stored["probability:red"], rtol=0, atol=2e-6)
    with_paths_as_text = result.predict(images=[str(files[0])], model=str(images / "tiny-vit"))
    assert with_paths_as_text["predicted"][0] == stored["predicted"].iloc[0]


def test_an_image_that_cannot_be_read_is_named(images: Path, tmp_path: Path) -> None:
    result = saefari.open_tree(images).best(source="sae", classifier="linear")
    (tmp_path / "text.png").write_text("no image")
    for name, message in (
        ("gone.png", r"images\[1\]: .*gone.png' cannot be read"),
        ("text.png", r"images\[1\], .*not an image"),
    ):
        with pytest.raises(DataError, match=message):
            result.predict(images=[images / "0.png", tmp_path / name], model=str(images / "tiny-vit"))
    with pytest.raises(SaefariError, match="reads images"):
        result.predict(["a text"], model=str(images / "tiny-vit"))


def test_codes_of_images_name_their_patches(images: Path) -> None:
    codes = saefari.open_tree(images).best(source="sae").codes(rows=[3, 1])
    n_patches = len(codes.positions) // 2
    assert codes.positions["patch"].tolist() == [*range(n_patches), *range(n_patches)]
    assert set(codes.positions["token"]) == {""}
