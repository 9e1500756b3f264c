"""Images from a dataset to classifiers, through the same stages as texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
import transformers
from PIL import Image

from saefari.data.images import ImageSource, decode_image
from saefari.pipeline.commands.cli import run_experiments
from saefari.store import Manifest, iter_codes, read_split
from tests.tiny_vision import picture, save_colours, save_vit

from .tiny import SHORT, Raw, classified, samples, tiny_settings

N_ROWS = 40


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_vit(tmp_path_factory.mktemp("models") / "tiny-vit", "vit")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of two classes."""
    return save_colours(tmp_path / "colours", N_ROWS)


@pytest.fixture
def raw(tmp_path: Path, vit: Path, images: Path) -> Raw:
    return {
        "settings": tiny_settings(tmp_path, model_type="vit", image_workers=0),
        "models": [{"name": str(vit), "layers": [1]}],
        "sae_training": [{"d_sae": 48, **SHORT, "n_positions": 1024}],
        "datasets": [{"name": str(images), "image_field": "image"}],
    }


def shards(root: Path) -> dict[str, list[str]]:
    """The digests of every folder of shards."""
    manifests = sorted(root.rglob("manifest.json"))
    found = {path.parent.name: Manifest.load(path.parent) for path in manifests}
    return {name: [shard.sha256 for shard in manifest.shards] for name, manifest in found.items() if manifest}


def test_from_images_to_classifiers(raw: Raw, saved: Callable[[Raw], list[str]], tmp_path: Path, vit: Path) -> None:
    assert run_experiments(saved(raw)) == 0
    assert len(classified(tmp_path)) == 1
    summary = pd.read_csv(tmp_path / "classifications" / "summary.csv")
    assert set(summary.source) == {"sae", "hidden", "pixels", "majority"}
    assert set(summary[summary.source == "sae"].model_type) == {"vit"}

    table = pq.read_table(samples(tmp_path) / "samples.parquet").to_pylist()
    assert [row["label"] for row in table] == ["blue"] * 20 + ["red"] * 20
    assert table[0]["image"] == "train/blue/00.png"
    assert (table[0]["n_tokens"], table[0]["grid"], table[0]["patch"]) == (17, [4, 4], list(range(16)))
    assert decode_image(ImageSource("view", table[0]["view"])).size == (32, 32)

    hidden = np.load(samples(tmp_path) / "layer_1" / "hidden" / "shard-00000.npz")
    model: Any = transformers.AutoModel.from_pretrained(vit).eval()
    processor: Any = transformers.AutoImageProcessor
    opened = [Image.open(tmp_path / "colours" / row["image"]) for row in table]
    pixels = processor.from_pretrained(vit, backend="pil")(opened, return_tensors="pt")
    with torch.no_grad():
        states = model(**pixels, output_hidden_states=True).hidden_states[2][:, 1:]
    np.testing.assert_allclose(hidden["pooled_mean"], states.mean(1), rtol=2**-11, atol=1e-5)  # stored as float16
    np.testing.assert_allclose(hidden["pooled_last"], states[:, -1], rtol=2**-11, atol=1e-5)
    (codes,) = iter_codes(next(path.parent for path in tmp_path.rglob("manifest.json") if "hidden" not in path.parts))
    assert np.diff(codes.offsets).tolist() == [16] * N_ROWS


@pytest.mark.slow
def test_workers_do_not_change_results(raw: Raw, saved: Callable[[Raw], list[str]], tmp_path: Path) -> None:
    made = []
    for n_workers in (0, 2):
        raw["settings"] |= {"image_workers": n_workers, "base_save_dir": str(tmp_path / str(n_workers) / "activations")}
        assert run_experiments([*saved(raw), "--extract-only"]) == 0
        made.append(shards(tmp_path / str(n_workers)))
    assert made[0] == made[1]
    assert len(made[0]) == 2


@pytest.mark.gpu
def test_gpu_results_equal_cpu_results(raw: Raw, saved: Callable[[Raw], list[str]], tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    raw["settings"]["image_workers"] = 2
    pooled = []
    for device in ("cpu", "cuda"):
        place = {"device": device, "dtype": "float32", "base_save_dir": str(tmp_path / device / "activations")}
        raw["settings"] |= place
        assert run_experiments([*saved(raw), "--extract-only"]) == 0
        pooled.append(np.load(samples(tmp_path / device) / "layer_1" / "hidden" / "shard-00000.npz")["pooled_mean"])
    np.testing.assert_allclose(*pooled, rtol=5e-3, atol=5e-3)


@pytest.mark.slow
def test_act_only_gives_the_same_results(raw: Raw, saved: Callable[[Raw], list[str]], tmp_path: Path) -> None:
    raw["settings"]["act_only"] = True
    raw["models"][0]["random_sae"] = True
    assert run_experiments(saved(raw)) == 0
    summary = pd.read_csv(tmp_path / "classifications" / "summary.csv")
    assert set(summary.source) == {"sae", "random_sae", "hidden", "pixels", "majority"}


def test_the_same_image_stays_on_one_side_of_the_split(
    raw: Raw, saved: Callable[[Raw], list[str]], tmp_path: Path
) -> None:
    """Another encoding and another name do not make another image."""
    for number in range(0, 20, 2):
        source = tmp_path / "colours" / "train" / "blue" / f"{number:02d}.png"
        Image.open(source).save(source.with_name(f"copy-{number:02d}.bmp"))
    assert run_experiments([*saved(raw), "--extract-only"]) == 0
    table = pq.read_table(samples(tmp_path) / "samples.parquet", columns=["pixels"]).to_pydict()
    sides: dict[str, set[int]] = {}
    for digest, side in zip(table["pixels"], read_split(samples(tmp_path)), strict=True):
        sides.setdefault(digest, set()).add(int(side))
    assert len(sides) == N_ROWS
    assert all(len(both) == 1 for both in sides.values())


@pytest.fixture
def damaged(images: Path) -> Path:
    """One image that cannot be read."""
    path = images / "train" / "red" / "05.png"
    path.write_bytes(path.read_bytes()[:200])
    return path


def test_a_bad_image_stops_its_dataset(
    raw: Raw, saved: Callable[[Raw], list[str]], damaged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_experiments(saved(raw)) == 1
    message = capsys.readouterr().out
    assert "train/red/05.png" in message
    assert "settings.on_bad_sample: skip" in message
    assert not list(tmp_path.rglob("samples.parquet"))


@pytest.mark.parametrize("n_workers", [0, 2])
def test_a_bad_image_is_listed_and_left_out(
    n_workers: int,
    raw: Raw,
    saved: Callable[[Raw], list[str]],
    damaged: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    raw["settings"] |= {"on_bad_sample": "skip", "image_workers": n_workers}
    for _ in range(2):  # it is said again where nothing is left to do
        assert run_experiments(saved(raw)) == 0
        printed = capsys.readouterr().out
        assert "1 images could not be read" in printed
        assert "train/red/05.png" in printed
    record = json.loads((samples(tmp_path) / "samples.json").read_text())
    assert record["n_rows"] == N_ROWS - 1
    (skipped,) = record["skipped"]
    assert skipped["row"] == 22
    assert "damaged" in skipped["reason"]
    raw["settings"]["on_bad_sample"] = "error"
    assert run_experiments(saved(raw)) == 1


@pytest.mark.slow
def test_a_changed_image_is_detected(
    raw: Raw, saved: Callable[[Raw], list[str]], images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_experiments([*saved(raw), "--extract-only"]) == 0
    picture(9, 9, seed=99).save(images / "train" / "red" / "05.png")
    capsys.readouterr()
    assert run_experiments(saved(raw)) == 1
    assert "fingerprint" in capsys.readouterr().out
    assert run_experiments([*saved(raw), "--overwrite"]) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"datasets": {"image_field": None}}, "image_field: is missing: a vit needs it"),
        ({"settings": {"positions": "image"}}, "settings.positions: 'image': a vit has patches, cls, all"),
        ({"models": {"positions": "last"}}, "models[0].positions: 'last'"),
        ({"models": {"model_type": "vlm"}}, "it is no vlm"),
        ({"models": {"layers": [3]}}, "has the layers 0 to 2"),
        ({"sae_training": {"corpus": {"name": "python-docs"}}}, "corpus: needs positions: tokens"),
    ],
)
def test_errors_are_found_before_work_starts(
    change: dict[str, Any],
    message: str,
    raw: Raw,
    saved: Callable[[Raw], list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    for section, values in change.items():
        part = raw[section] if isinstance(raw[section], dict) else raw[section][0]
        part.update(values)
    assert run_experiments([*saved(raw), "--dry-run"]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("change", [{"positions": "cls"}, {"model_type": "llm"}])
def test_entries_of_one_model_must_agree(
    change: dict[str, Any], raw: Raw, saved: Callable[[Raw], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    raw["models"].append({**raw["models"][0], "layers": [0], **change})
    assert run_experiments([*saved(raw), "--dry-run"]) == 2
    (key,) = change
    assert f"models[1].{key}: '{change[key]}': models[0] reads" in capsys.readouterr().err
