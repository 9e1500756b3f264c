"""Live prediction of images equals the stored predictions."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from saefari.errors import SaefariError
from saefari.models import model_types as kinds
from saefari.pipeline.commands.cli import run_experiments
from saefari.pipeline.live.predict import predict_image, predict_text
from saefari.store import Layout
from tests.tiny_vision import picture, save_vit, save_vlm

from ..tiny import SHORT, tiny_settings


def encoded(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module", params=["vit", "llava"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(output folder, model) of a finished run over 24 images, with texts where the model reads them."""
    root = tmp_path_factory.mktemp("run")
    model = root / "tiny"
    is_vit = request.param == "vit"
    if is_vit:
        save_vit(model, "vit")
    else:
        save_vlm(model, "llava")
    for number in range(24):
        colour = ["blue", "red"][number % 2]
        noise = picture(30, 40, seed=number)
        Image.blend(noise, Image.new("RGB", noise.size, colour), 0.4).save(root / f"{number}.png")
    lines = [f"{number}.png,the cat {number},{['blue', 'red'][number % 2]}" for number in range(24)]
    (root / "rows.csv").write_text("\n".join(["image,text,label", *lines]))
    raw = {
        "settings": tiny_settings(
            root, model_type="vit" if is_vit else "vlm", positions=None if is_vit else "all", image_workers=0
        ),
        "models": [{"name": str(model), "layers": [1]}],
        "sae_training": [{"d_sae": 48, **SHORT, "n_positions": 1024}],
        "datasets": [{"name": str(root / "rows.csv"), "image_field": "image", "text_field": "text"}],
    }
    (root / "conf.yaml").write_text(yaml.safe_dump(raw))
    assert run_experiments(["--config", str(root / "conf.yaml")]) == 0
    return root, model


def results(root: Path, source: str) -> Path:
    return next(path.parent for path in (root / "classifications").rglob("results.json") if source in path.parts)


def ask(root: Path, folder: Path, model: Path, row: int, **changes: Any) -> Any:
    given = {"content": (root / f"{row}.png").read_bytes(), "text": f"the cat {row}", "model": str(model)} | changes
    return predict_image(Layout.below(root), folder, "linear", **given)


@pytest.mark.parametrize("source", ["batchtopk", "hidden"])
def test_a_stored_image_gets_its_stored_prediction(run: tuple[Path, Path], source: str) -> None:
    root, model = run
    folder = results(root, source)
    stored = pq.read_table(folder / "predictions.parquet").to_pylist()[0]
    answer = ask(root, folder, model, stored["row"])
    expected = [stored[f"linear:{name}"] for name in answer.classes]
    np.testing.assert_allclose(answer.probabilities, expected, atol=1e-4)
    (samples,) = root.rglob("samples.parquet")
    sample = next(row for row in pq.read_table(samples).to_pylist() if row["row"] == stored["row"])
    assert answer.view == sample["view"]
    assert list(answer.grid) == sample["grid"]
    assert answer.patch.tolist() == sample["patch"]
    assert answer.spans.tolist() == list(map(list, zip(sample["span_start"], sample["span_end"], strict=True)))


@pytest.mark.parametrize(("content", "message"), [(b"no image", "cannot be read|not an image"), (b"", "it is empty")])
def test_invalid_images_are_an_error(run: tuple[Path, Path], content: bytes, message: str) -> None:
    root, model = run
    with pytest.raises(SaefariError, match=message):
        ask(root, results(root, "hidden"), model, 0, content=content)


def test_a_text_without_image_is_an_error(run: tuple[Path, Path]) -> None:
    root, model = run
    with pytest.raises(SaefariError, match="reads images: give an image"):
        predict_text(Layout.below(root), results(root, "hidden"), "linear", "a cat", str(model))


def test_raw_pixels_are_an_error(run: tuple[Path, Path]) -> None:
    root, model = run
    with pytest.raises(SaefariError, match="choose another result"):
        ask(root, results(root, "pixels"), model, 0)


def test_an_image_of_another_size_and_mode(run: tuple[Path, Path]) -> None:
    root, model = run
    answer = ask(root, results(root, "batchtopk"), model, 0, content=encoded(picture(3, 90).convert("L")), text=None)
    assert answer.probabilities.sum() == pytest.approx(1)


def test_another_preprocessor_is_an_error(run: tuple[Path, Path]) -> None:
    root, model = run
    file = next(path for path in (model / "preprocessor_config.json", model / "processor_config.json") if path.exists())
    before = file.read_text()
    try:
        file.write_text(before.replace("0.5,", "0.4,").replace("0.48145466", "0.4"))
        kinds._reader.cache_clear()
        with pytest.raises(SaefariError, match="differs from that of the stored samples"):
            ask(root, results(root, "hidden"), model, 0)
    finally:
        file.write_text(before)
        kinds._reader.cache_clear()
