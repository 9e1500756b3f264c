"""Tables with an image column: paths, bytes, or the structs of `datasets`."""

from __future__ import annotations

import os
import time
import tracemalloc
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from saefari.config import DatasetSpec
from saefari.data import Dataset, Example, check_dataset, open_dataset
from saefari.data.images import BadImage, decode_image
from saefari.errors import DataError


def spec(name: object, **keys: object) -> DatasetSpec:
    return DatasetSpec(name=str(name), **{"image_field": "image", "label_field": "label", **keys})


def opened(name: object, split: str = "train", **keys: object) -> Dataset:
    return open_dataset(spec(name, **keys), split)


def read(name: object, **keys: object) -> list[Example]:
    return list(opened(name, **keys).rows())


def colour(example: Example) -> tuple[int, ...]:
    assert example.image is not None
    return tuple(np.asarray(decode_image(example.image))[0, 0].tolist())


def encoded(colour: str) -> bytes:
    file = BytesIO()
    Image.new("RGB", (4, 3), colour).save(file, "PNG")
    return file.getvalue()


def write_table(path: Path, images: list[object], **keys: object) -> Path:
    pq.write_table(pa.table({"image": images, "label": ["a"] * len(images)}), path, **keys)
    return path


def test_paths_are_relative_to_the_folder_of_the_file(kind, write, write_image, tmp_path, monkeypatch):
    write_image(tmp_path / "pets" / "photos" / "cat.png", "red")
    elsewhere = write_image(tmp_path / "elsewhere" / "dog.png", "blue")
    rows = [{"image": "photos/cat.png", "label": "cat"}, {"image": str(elsewhere), "label": "dog"}]
    path = write(tmp_path / "pets" / f"train.{kind}", rows)
    monkeypatch.chdir("/")
    for name in (path, path.parent):
        cat, dog = read(name)
        assert (cat.image.name, cat.label, cat.text, colour(cat)) == ("photos/cat.png", "cat", None, (255, 0, 0))
        assert (dog.image.name, dog.label, colour(dog)) == ("dog.png", "dog", (0, 0, 255))


def test_rows_may_have_image_and_text(kind, write, write_image, tmp_path):
    write_image(tmp_path / "cat.png")
    path = write(tmp_path / f"train.{kind}", [{"image": "cat.png", "label": "a", "caption": "a cat"}])
    (example,) = read(path, text_field="caption", id_field="image")
    assert (example.text, example.image.name, example.id) == ("a cat", "cat.png", "cat.png")
    assert opened(path, text_field="caption", image_field="").fingerprint != opened(path).fingerprint


def test_parquet_file_may_contain_images(tmp_path):
    (example,) = read(write_table(tmp_path / "bytes.parquet", [encoded("red")]))
    assert (example.image.name, colour(example)) == ("row 0", (255, 0, 0))
    Image.new("RGB", (4, 3), "lime").save(tmp_path / "beside.png")
    structs = [
        {"bytes": encoded("red"), "path": "photos/cat.png"},
        {"bytes": encoded("blue"), "path": None},
        {"bytes": encoded("red"), "path": "/home/someone/dog.png"},
        {"bytes": encoded("red"), "path": r"C:\someone\fox.png"},
        {"bytes": None, "path": "beside.png"},
    ]
    examples = read(write_table(tmp_path / "structs.parquet", structs))
    assert [e.image.name for e in examples] == ["photos/cat.png", "row 1", "dog.png", "fox.png", "beside.png"]
    assert [colour(e)[:2] for e in examples] == [(255, 0), (0, 0), (255, 0), (255, 0), (0, 255)]


@pytest.mark.parametrize("value", [None, "", " "])
@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_missing_image_is_none(kind, write, tmp_path, value):
    path = write(tmp_path / f"train.{kind}", [{"image": value, "label": "a"}, {"image": "cat.png", "label": "a"}])
    assert [example.image is None for example in read(path)] == [True, False]


def test_null_bytes_and_nan_are_missing_images(tmp_path):
    struct = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    for values, kind in (
        ([None, {"bytes": None, "path": None}], struct),
        ([None], pa.binary()),
        ([float("nan")], pa.float64()),
    ):
        path = write_table(tmp_path / "rows.parquet", pa.array(values, kind))
        assert [example.image for example in read(path)] == [None] * len(values)


def test_missing_or_broken_file_affects_only_its_own_row(kind, write, tmp_path):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "broken.png").write_bytes(encoded("red")[:40])
    names = ["nowhere.png", "folder.png", "broken.png"]
    path = write(tmp_path / f"train.{kind}", [{"image": name, "label": "a"} for name in names])
    assert check_dataset(spec(path)) == []
    assert opened(path).fingerprint
    for name, example in zip(names, read(path), strict=True):
        with pytest.raises(BadImage, match=f"image '{name}': ") as caught:
            decode_image(example.image)
        assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("address", ["https://example.org/cat.png", "http://example.org/cat.png", "hf://datasets/a/b"])
def test_url_is_an_error_with_its_place(kind, write, tmp_path, address):
    path = write(tmp_path / f"rows.{kind}", [{"image": "", "label": "a"}, {"image": address, "label": "a"}])
    message = f"rows.{kind}, split 'train', row 1, column 'image': '{address}' is a URL; download the images"
    with pytest.raises(DataError, match=message):
        read(path)
    with pytest.raises(DataError, match=message):
        _ = opened(path).fingerprint


@pytest.mark.parametrize("value", [3, ["cat.png"], {"bytes": "text"}, {"path": 3}, True])
def test_value_that_is_not_an_image_is_an_error_with_its_place(write, tmp_path, value):
    path = write(tmp_path / "rows.jsonl", [{"image": value, "label": "a"}])
    with pytest.raises(DataError, match=r"row 0, column 'image': a \w+ is not an image"):
        read(path)


def test_fingerprint_depends_on_the_image_files(kind, write, write_image, tmp_path):
    def fingerprint(name: str, first: str = "red", rows: tuple[str, ...] = ("a.bmp", "b.bmp")) -> str:
        write_image(tmp_path / name / "a.bmp", first)
        write_image(tmp_path / name / "b.bmp", "blue")
        path = write(tmp_path / name / f"train.{kind}", [{"image": image, "label": "x"} for image in rows])
        return opened(path).fingerprint

    one = fingerprint("one")
    assert one == fingerprint("other place")
    assert one != fingerprint("other colour", "lime")
    assert one != fingerprint("other order", rows=("b.bmp", "a.bmp"))
    (tmp_path / "one" / "a.bmp").unlink()
    assert one != opened(tmp_path / "one" / f"train.{kind}").fingerprint


def test_unchanged_file_is_hashed_once(write, write_image, tmp_path, monkeypatch):
    hashed = []

    def counted(path: Path) -> str:
        hashed.append(path.name)
        return path.read_bytes().hex()

    monkeypatch.setattr("saefari.fingerprint.file_sha256", counted)
    picture = write_image(tmp_path / "cat.bmp", "red")
    path = write(tmp_path / "train.csv", [{"image": "cat.bmp", "label": "a"}] * 3)
    before = opened(path).fingerprint
    assert before == opened(path).fingerprint
    assert hashed == ["train.csv", "cat.bmp"]
    write_image(picture, "blue")
    os.utime(picture, ns=(time.time_ns(), picture.stat().st_mtime_ns + 1))
    assert before != opened(path).fingerprint
    assert hashed == ["train.csv", "cat.bmp", "cat.bmp"]


def test_embedded_images_are_part_of_the_table_hash(tmp_path):
    one = opened(write_table(tmp_path / "one.parquet", [encoded("red")]))
    assert one.fingerprint == one.table.fingerprint()
    assert one.fingerprint != opened(write_table(tmp_path / "other.parquet", [encoded("blue")])).fingerprint


def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    def peak(n_rows: int) -> int:
        noise = np.random.default_rng(0)
        path = write_table(tmp_path / f"{n_rows}.parquet", [noise.bytes(200_000) for _ in range(n_rows)])
        tracemalloc.start()
        assert sum(len(example.image.content) for example in opened(path).rows()) == 200_000 * n_rows
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(10)
    assert peak(500) < 1.2 * peak(250) < 45_000_000


def test_check_reports_a_missing_column(kind, write, tmp_path):
    path = write(tmp_path / f"train.{kind}", [{"image": "cat.png", "label": "a"}])
    ((key, message),) = check_dataset(spec(path, image_field="imge"))
    assert key == "image_field"
    assert "column 'imge' does not exist; columns: image, label (did you mean 'image'?)" in message
