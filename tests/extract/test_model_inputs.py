"""The rows of an extraction whose images are read by worker processes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path

import pytest
from PIL import Image

from saefari.config import DatasetSpec, ModelType, Settings
from saefari.data.dataset import open_dataset
from saefari.extract.frozen_rows import rows_settings
from saefari.extract.model_inputs import ImageRows
from saefari.extract.prepare import run_prepare
from saefari.extract.prepare_job import PrepareJob
from saefari.models.forward import Row
from saefari.models.image_loader import ImageLoader, Images
from saefari.models.source import ModelSource
from saefari.store import iter_image_rows, read_samples_record
from tests.tiny_vision import picture, save_vit, save_vlm

N_ROWS, SHARD = 44, 20
Made = Callable[[str], ImageRows]


@pytest.fixture
def make_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """make_rows(kind): rows of images of many sizes, read by a tiny model, in three shards."""
    monkeypatch.setattr("saefari.store.samples.SHARD_ROWS", SHARD)

    def make(kind: str) -> ImageRows:
        for number in range(N_ROWS):
            folder = tmp_path / "images" / "train" / "ab"[number % 2]
            folder.mkdir(parents=True, exist_ok=True)
            picture(20 + number, 64 - number, seed=number).save(folder / f"{number:02d}.png")
        is_vit = kind == "vit"
        path = (save_vit if is_vit else save_vlm)(tmp_path / kind, kind)
        settings = Settings(image_workers=2)
        model_type: ModelType = "vit" if is_vit else "vlm"
        positions = "patches" if is_vit else "image"
        spec = DatasetSpec(name=str(tmp_path / "images"), image_field="image")
        folder = tmp_path / "samples"
        run_prepare(PrepareJob("t", ModelSource(model_type, str(path)), positions, spec, settings, folder, None, False))
        record = read_samples_record(folder)
        assert record is not None
        loader = ImageLoader.of(model_type, str(path), None, positions, settings)
        return ImageRows(folder, Images(spec, "train", record["settings"]["fingerprint"]), loader, 17 * 3, None)

    return make


@pytest.mark.parametrize("kind", ["vit", "qwen2-vl"])
def test_every_row_occurs_once_with_its_own_pixels(make_rows: Made, kind: str) -> None:
    rows = make_rows(kind)
    stored = dict(iter_image_rows(rows.folder))
    reader = rows.loader.reader.load()
    for shard, windows in rows.windows([0, 2]):
        seen = []
        for indices, read in windows:
            seen += indices.tolist()
            for i, row in zip(indices, read, strict=True):
                assert (row.length, row.valid.tolist()) == (stored[shard][i].length, stored[shard][i].valid.tolist())
            [(_, (source, text))] = rows.images.of([stored[shard][indices[0]]])
            assert source is not None
            expected = reader.read(picture_of(source.content), text).model_input
            assert {key: value.shape for key, value in read[0].model_input.items()} == {
                key: value.shape for key, value in expected.items()
            }
            assert all((read[0].model_input[key] == value).all() for key, value in expected.items())
        assert sorted(seen) == list(range(len(stored[shard])))


def picture_of(content: object) -> Image.Image:
    assert isinstance(content, Path)
    return Image.open(content).convert("RGB")


def test_a_window_is_a_batch(make_rows: Made) -> None:
    rows = make_rows("vit")  # 17 positions each
    sizes = [[len(indices) for indices, _ in windows] for _, windows in rows.windows([0, 2])]
    assert sizes == [[3] * 6 + [2], [3, 1]]
    narrow = replace(rows, max_sequences=2)
    assert [[len(indices) for indices, _ in windows] for _, windows in narrow.windows([2])] == [[2, 2]]


def test_the_same_processes_read_all_shards_and_end_with_the_last(make_rows: Made) -> None:
    processes = []
    for _, windows in make_rows("vit").windows([0, 1, 2]):
        for _ in windows:
            processes.append({child.pid for child in active_children()})
    assert len(processes[0]) == 2
    assert all(found == processes[0] for found in processes[:5])
    assert set().union(*processes) == processes[0]
    assert not active_children()


def test_processes_end_after_an_error_that_is_kept(make_rows: Made) -> None:
    rows = make_rows("vit")

    def extract() -> None:
        for _, windows in rows.windows([0, 1, 2]):
            for _ in windows:
                raise RuntimeError("the model failed")

    with pytest.raises(RuntimeError, match="the model failed") as raised:
        extract()
    assert raised.value.__traceback__ is not None
    assert not active_children()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="the system does not list a process's open files")
def test_images_in_memory_hold_few_files_open(make_rows: Made) -> None:
    """For any shapes: a process may open 1,024 files, and a batch may have hundreds of images."""
    rows = make_rows("qwen2-vl")
    kept: list[Row] = []
    most, before = 0, len(os.listdir("/proc/self/fd"))
    for _, windows in rows.windows([0, 1, 2]):
        for _, read in windows:
            kept += read
            most = max(most, len(os.listdir("/proc/self/fd")) - before)
    assert len(kept) == N_ROWS
    n_shapes = len({tuple(row.model_input["pixel_values"].shape) for row in kept})
    assert n_shapes > 1
    assert most < N_ROWS * len(kept[0].model_input) / 2


def test_row_identity_does_not_depend_on_reading_images(tmp_path: Path) -> None:
    """A transfer from texts to images of the same file excludes the training rows."""
    picture(4, 4).save(tmp_path / "a.png")
    (tmp_path / "rows.csv").write_text("image,text,label\na.png,one,x\n")
    name = str(tmp_path / "rows.csv")
    texts, images = (
        rows_settings(open_dataset(DatasetSpec(name=name, text_field="text", image_field=field), "train"), None, 0, ())
        for field in (None, "image")
    )
    assert texts["fingerprint"] != images["fingerprint"]
    assert "table" not in texts
    assert images["table"] == texts["fingerprint"]
