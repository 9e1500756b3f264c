"""Folders of images, with and without splits."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saefari.config import DatasetSpec
from saefari.data import Example, check_dataset, open_dataset
from saefari.data.images import BadImage, decode_image
from saefari.errors import DataError


def spec(name: object, **keys: object) -> DatasetSpec:
    return DatasetSpec(name=str(name), **{"image_field": "image", "label_field": "label", "id_field": "id", **keys})


def read(name: object, split: str = "train", **keys: object) -> list[Example]:
    return list(open_dataset(spec(name, **keys), split).rows())


def fingerprint(name: object, split: str = "train") -> str:
    return open_dataset(spec(name), split).fingerprint


def test_folder_of_splits_of_classes(write_image, tmp_path):
    for name in ("train/dog/b.png", "train/dog/a.JPEG", "train/cat/z.bmp", "train/cat/10.webp", "test/cat/x.tiff"):
        write_image(tmp_path / name)
    write_image(tmp_path / "train" / "cat" / "2.gif", "blue")
    dataset = open_dataset(spec(tmp_path, test_split="test"), "train")
    examples = list(dataset.rows())
    names = ["train/cat/10.webp", "train/cat/2.gif", "train/cat/z.bmp", "train/dog/a.JPEG", "train/dog/b.png"]
    assert [example.id for example in examples] == names == [example.image.name for example in examples]
    assert [example.label for example in examples] == ["cat", "cat", "cat", "dog", "dog"]
    assert {example.text for example in examples} == {None}
    assert (dataset.n_rows, dataset.columns) == (5, ("image", "label", "id"))
    assert np.asarray(decode_image(examples[1].image))[0, 0].tolist() == [0, 0, 255]
    assert [example.id for example in read(tmp_path, "test")] == ["test/cat/x.tiff"]
    assert check_dataset(spec(tmp_path, test_split="test")) == []


def test_folder_of_classes_is_the_split_train(write_image, tmp_path):
    for name in ("cat/1.png", "dog/1.png", "dog/2.jpg", "train/1.png"):
        write_image(tmp_path / name)
    assert [example.id for example in read(tmp_path)] == ["cat/1.png", "dog/1.png", "dog/2.jpg", "train/1.png"]
    ((key, message),) = check_dataset(spec(tmp_path, split="test"))
    assert (key, "split 'test' does not exist; splits: train" in message) == ("split", True)


@pytest.mark.parametrize(
    "files",
    [
        ("cat/1.png", "dog/1.png", "dog/old/3.png"),
        ("cat/1.png", "dog/2020/1.png"),
        ("train/cat/1.png", "test/cat/1.png", "train/stray.png"),
    ],
)
def test_images_outside_class_folders_are_an_error(write_image, tmp_path, files):
    for name in files:
        write_image(tmp_path / name)
    ((_, message),) = check_dataset(spec(tmp_path))
    assert "move all of them to <class>/, or all to <split>/<class>/" in message


@pytest.mark.parametrize("extension", ["jfif", "ppm", "jp2"])
def test_every_supported_format_is_found(write_image, tmp_path, extension):
    write_image(tmp_path / "cat" / "1.png")
    image = Image.new("RGB", (4, 4), "red")
    (tmp_path / "dog").mkdir()
    image.save(tmp_path / "dog" / f"1.{extension}", {"jfif": "JPEG", "ppm": "PPM", "jp2": "JPEG2000"}[extension])
    assert [example.label for example in read(tmp_path)] == ["cat", "dog"]


def test_configuration_is_a_sub_folder(write_image, tmp_path):
    write_image(tmp_path / "small" / "train" / "cat" / "1.png")
    (example,) = read(tmp_path, config_name="small")
    assert (example.id, example.label) == ("train/cat/1.png", "cat")


def test_other_and_hidden_files_are_skipped(write_image, tmp_path):
    write_image(tmp_path / "train" / "cat" / "1.png")
    write_image(tmp_path / "train" / "cat" / "._1.png")
    write_image(tmp_path / "train" / ".cache" / "1.png")
    (tmp_path / "train" / "cat" / "notes.txt").write_text("no image")
    (tmp_path / "train" / "empty").mkdir()
    (tmp_path / "classes.csv").write_text("path,label\n")
    assert [example.id for example in read(tmp_path)] == ["train/cat/1.png"]


def test_data_files_take_precedence_over_images(write, write_image, tmp_path):
    write_image(tmp_path / "photos" / "cats" / "1.png")
    write(tmp_path / "train.csv", [{"image": "photos/cats/1.png", "label": "a", "id": "k"}])
    assert [(example.id, example.label) for example in read(tmp_path)] == [("k", "a")]


def test_broken_link_fails_on_decoding(write_image, tmp_path):
    write_image(tmp_path / "cat" / "1.png")
    (tmp_path / "cat" / "2.png").symlink_to(tmp_path / "nowhere.png")
    _, missing = read(tmp_path)
    assert fingerprint(tmp_path)
    with pytest.raises(BadImage, match=r"image 'cat/2\.png': the file does not exist"):
        decode_image(missing.image)


@pytest.mark.skipif(os.name != "posix", reason="names that are not Unicode exist on POSIX only")
def test_file_name_that_is_not_unicode(write_image, tmp_path):
    good = write_image(tmp_path / "cat" / "1.png")
    try:
        good.rename(Path(os.fsdecode(os.fsencode(good.parent) + b"/caf\xe9.png")))
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    (example,) = read(tmp_path)
    assert (example.id, example.image.name) == ("cat/caf\ufffd.png", "cat/caf\ufffd.png")
    assert decode_image(example.image).size == (4, 3)
    assert fingerprint(tmp_path)


def test_fingerprint_depends_on_names_and_contents_but_not_on_the_location(write_image, tmp_path):
    def folder(name: str, *files: tuple[str, str]) -> str:
        for file, colour in files or (("train/cat/1.bmp", "red"), ("train/dog/1.bmp", "blue")):
            write_image(tmp_path / name / file, colour)
        return fingerprint(tmp_path / name)

    one = folder("one")
    assert one == folder("other place")
    assert one != folder("other colour", ("train/cat/1.bmp", "lime"), ("train/dog/1.bmp", "blue"))
    assert one != folder("other name", ("train/cat/2.bmp", "red"), ("train/dog/1.bmp", "blue"))
    assert one != folder("other class", ("train/cow/1.bmp", "red"), ("train/dog/1.bmp", "blue"))
    write_image(tmp_path / "one" / "train" / "dog" / "2.bmp")
    assert one != fingerprint(tmp_path / "one")


@pytest.mark.parametrize(
    ("keys", "key", "message"),
    [
        ({"split": "trian"}, "split", "split 'trian' does not exist; splits: test, train (did you mean 'train'?)"),
        ({"test_split": "tests"}, "test_split", "'tests' does not exist; splits: test, train (did you mean 'test'?)"),
        ({"image_field": "images"}, "image_field", "columns: image, label, id (did you mean 'image'?)"),
        ({"text_field": "text"}, "text_field", "columns: image, label, id"),
    ],
)
def test_check_reports_key_value_and_remedy(write_image, tmp_path, keys, key, message):
    for split in ("train", "test"):
        write_image(tmp_path / split / "cat" / "1.png")
    ((found, text),) = check_dataset(spec(tmp_path, **keys))
    assert found == key
    assert message in text


@pytest.mark.parametrize("files", [[], ["1.png"], ["train/a/b/1.png"], ["train/cat/notes.txt"]])
def test_folder_without_class_folders_is_an_error_with_the_expected_layout(write_image, tmp_path, files):
    for name in files:
        write_image((tmp_path / name).with_suffix(".png")).rename(tmp_path / name)
    ((key, message),) = check_dataset(spec(tmp_path))
    assert key == "split"
    assert "or images: train/<class>/*.png, or <class>/*.png for the split train" in message


def test_splits_without_classes_are_an_error(write_image, tmp_path):
    for split in ("train", "test"):
        write_image(tmp_path / split / "1.png")
    with pytest.raises(DataError, match="no class folders in test, train; move the images to <split>/<class>/"):
        read(tmp_path)


@pytest.mark.parametrize(("split", "per_class"), [("train", 160), ("test", 40)])
def test_all_of_cifar10_is_read(real_data: Path, split: str, per_class: int):
    cifar = spec(real_data / "cifar10_small", test_split="test")
    assert check_dataset(cifar) == []
    dataset = open_dataset(cifar, split)
    examples = list(dataset.rows())
    assert dataset.slug == "data--cifar10_small"
    assert len(examples) == dataset.n_rows
    assert len({example.id for example in examples}) == len(examples)
    assert set(Counter(example.label for example in examples).values()) == {per_class}
    assert {"airplane", "truck"} < {example.label for example in examples}
    for example in examples[::100]:
        assert example.label == example.id.split("/")[1]
        assert decode_image(example.image).size == (32, 32)
    assert fingerprint(cifar.name, "train") != fingerprint(cifar.name, "test")
