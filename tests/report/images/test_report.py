"""The image report: table, sheets and record."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saefari.errors import StoreError
from saefari.report.images import report as images_module
from saefari.report.images.report import ImageReport, write_image_report
from saefari.report.images.top_images_table import write_all_top_images
from saefari.store import write_json
from tests.store.image_tree import DATASET, FIRST, LAYER, MODEL, WIDTH, ImageRow, write_images

GRID = (2, 2)
FEATURES = f"layer_{LAYER}/{WIDTH}"
SILENT = 2


def example_rows(seed: int = 0) -> list[ImageRow]:
    """Two classes; latent 0 is active in the class token, latent 1 in patch 3; latent 2 never, and 3 in text alone."""
    generator = np.random.default_rng(seed)
    rows = []
    for i in range(16):
        activations = np.zeros((6, 4))
        activations[0, 0] = 1 + i
        activations[4, 1] = 2 + i / 4
        activations[5, 3] = 1
        pixels = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        label = "cat" if i % 2 else "dog"
        rows.append(ImageRow(activations, [-1, 0, 1, 2, 3, -1], label, pixels, part=int(i % 4 == 0 or i == 5)))
    return rows


def report_on(output: Path, *splits: str) -> ImageReport:
    below = output / "activations" / MODEL / DATASET
    outs = {split: output / "reports" / split for split in splits or ("train",)}
    return ImageReport(
        f"{MODEL} layer {LAYER}, SAE {WIDTH}, {DATASET}",
        FEATURES,
        tuple((below / split, out) for split, out in outs.items()),
        output / "classifications",
    )


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "top_images.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def record(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "top_images.json").read_text())
    return found


def choose(output: Path, *latents: int) -> None:
    """A result with a tree that splits on these latents."""
    entries = [{"feature": latent, "importance": 1 / (1 + place)} for place, latent in enumerate(latents)]
    tree = {"cross_validation": {"macro_f1": 0.5}, "top_features": entries}
    write_json(
        output / "classifications/sum/results.json", {"fingerprint": str(latents), "classifiers": {"tree": tree}}
    )


def test_the_table_names_image_patch_and_part(tmp_path: Path) -> None:
    write_images(tmp_path, example_rows(), GRID)
    choose(tmp_path, 1, 0)
    write_image_report(report_on(tmp_path))
    rows = table(tmp_path / "reports/train")
    assert [row["latent"] for row in rows] == ["1"] * 9 + ["0"] * 9
    first = {key: value for key, value in rows[0].items() if key != "chosen_for"}
    assert first == {
        "latent": "1",
        "rank": "1",
        "row": str(FIRST + 150),
        "image": "cat/15.png",
        "label": "cat",
        "part": "train",
        "activation": "5.75",
        "position": "4",
        "patch": "3",
        "x0": "0.5",
        "y0": "0.5",
        "x1": "1",
        "y1": "1",
    }
    assert rows[0]["chosen_for"] == "tree: importance 1"
    assert [row["part"] for row in rows[:4]] == ["train", "train", "train", "test"]
    assert [row["rank"] for row in rows[9:]] == [str(rank) for rank in range(1, 10)]
    outside = rows[9]
    assert (outside["position"], outside["patch"], outside["x0"]) == ("0", "-1", "")


def test_sheets_show_the_images(tmp_path: Path) -> None:
    rows = example_rows()
    write_images(tmp_path, rows, GRID)
    choose(tmp_path, 1, 0)
    write_image_report(report_on(tmp_path))
    for name in ("top_images.png", "heat_maps.png"):
        with Image.open(tmp_path / "reports/train" / name) as image:
            colours = {tuple(colour) for colour in np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()}
        test_row = rows[12].pixels if name == "top_images.png" else rows[0].pixels
        assert test_row is not None
        assert len({tuple(pixel) for pixel in test_row.reshape(-1, 3).tolist()} & colours) > 32, name


def test_a_latent_that_is_never_active_is_listed_and_not_drawn(tmp_path: Path) -> None:
    write_images(tmp_path, example_rows(), GRID)
    choose(tmp_path, SILENT, 1)
    write_image_report(report_on(tmp_path))
    assert {row["latent"] for row in table(tmp_path / "reports/train")} == {"1"}
    content = record(tmp_path / "reports/train")
    assert (content["silent"], content["n_silent"], content["n_images"]) == ([SILENT], 1, 16)


def test_old_sheets_are_removed_if_nothing_is_drawn(tmp_path: Path) -> None:
    write_images(tmp_path, example_rows(), GRID)
    choose(tmp_path, 1)
    write_image_report(report_on(tmp_path))
    silent = [ImageRow(np.zeros((2, 4)), [-1, 0]) for _ in range(3)]
    write_images(tmp_path, silent, GRID)
    write_image_report(report_on(tmp_path))
    folder = tmp_path / "reports/train"
    assert sorted(path.name for path in folder.iterdir()) == ["top_images.csv", "top_images.json"]
    assert table(folder) == []
    assert record(folder)["silent"] == [1]


def test_a_separate_test_split_shows_the_latents_chosen_on_training_rows(tmp_path: Path) -> None:
    write_images(tmp_path, [ImageRow(np.array([[0, 1.0, 0, 0]]), [0])], GRID)
    apart = [ImageRow(np.array([[9.0, 0.5, 0, 0]]), [2], part=1)]
    write_images(tmp_path, apart, GRID, split="test")
    write_image_report(report_on(tmp_path, "train", "test"))
    (row,) = table(tmp_path / "reports/test")
    assert (row["latent"], row["activation"], row["part"], row["patch"]) == ("1", "0.5", "test", "2")
    assert (tmp_path / "reports/test/heat_maps.png").exists()


def test_an_unchanged_report_is_not_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_images(tmp_path, example_rows(), GRID)
    report = report_on(tmp_path)
    write_image_report(report)
    before = {path: path.read_bytes() for path in (tmp_path / "reports/train").iterdir()}
    with monkeypatch.context() as patched:
        patched.setattr(images_module, "find_top_images", None)  # calling it would raise
        write_image_report(report)
        choose(tmp_path, 1)
        with pytest.raises(TypeError):
            write_image_report(report)
    (tmp_path / "classifications/sum/results.json").unlink()
    (tmp_path / "reports/train/top_images.json").unlink()
    write_image_report(report)
    assert {path: path.read_bytes() for path in before} == before


def test_an_interrupted_report_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_images(tmp_path, example_rows(), GRID)
    report = report_on(tmp_path)
    write_image_report(report)
    choose(tmp_path, 1)
    with monkeypatch.context() as patched:
        patched.setattr(images_module, "draw_heat_maps", None)
        with pytest.raises(TypeError):
            write_image_report(report)
    assert not (tmp_path / "reports/train/top_images.json").exists()


def test_missing_codes_are_an_error(tmp_path: Path) -> None:
    folder = write_images(tmp_path, example_rows(), GRID)
    (folder / "manifest.json").unlink()
    with pytest.raises(StoreError, match="has no codes: run the extraction again"):
        write_image_report(report_on(tmp_path))


def test_table_of_every_latent(tmp_path: Path) -> None:
    codes = write_images(tmp_path, example_rows(), GRID)
    write_all_top_images(codes, tmp_path / "all/top_images.csv", k=2)
    found = [(row["latent"], row["rank"], row["chosen_for"]) for row in table(tmp_path / "all")]
    assert found == [(str(latent), str(rank), "") for latent in (0, 1, 3) for rank in (1, 2)]


def test_labels_that_look_like_formulas_are_drawn_as_text(tmp_path: Path) -> None:
    rows = example_rows()
    for row in rows:
        row.label = "$\\frac{$ a_very_long_label\nof two lines"
    write_images(tmp_path, rows, GRID)
    write_image_report(report_on(tmp_path))
    assert (tmp_path / "reports/train/heat_maps.png").exists()
