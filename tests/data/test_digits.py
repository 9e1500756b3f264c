from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import numpy as np

from saefari.config import DatasetSpec
from saefari.data import check_dataset, open_dataset
from saefari.data.images import decode_image

SPEC = DatasetSpec(name="digits", image_field="image", label_field="label", id_field="id")

ALONE = """
import json, sys
from saefari.config import DatasetSpec
from saefari.data import check_dataset, open_dataset
spec = DatasetSpec(name="digits", image_field="image")
assert check_dataset(spec) == []
planned = "sklearn" in sys.modules
print(json.dumps([open_dataset(spec, "train").fingerprint, planned]))
"""


def test_digits_equal_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    dataset = open_dataset(SPEC, "train")
    examples = list(dataset.rows())
    data = load_digits()
    assert dataset.n_rows == len(examples) == 1797
    assert [example.label for example in examples] == [str(digit) for digit in data.target]
    assert len({example.id for example in examples}) == 1797
    pixels = np.stack([example.image.content for example in examples])
    assert (pixels.dtype, pixels.min(), pixels.max()) == (np.uint8, 0, 255)
    assert np.abs(pixels - data.images * 255 / 16).max() <= 0.5
    image = decode_image(examples[7].image)
    assert image.size == (8, 8)
    np.testing.assert_array_equal(np.asarray(image)[..., 1], pixels[7])


def test_every_class_has_many_rows():
    counts = Counter(example.label for example in open_dataset(SPEC, "train").rows())
    assert sorted(counts) == list("0123456789")
    assert min(counts.values()) > 170


def test_another_process_reads_the_same_rows_and_planning_needs_no_scikit_learn():
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [open_dataset(SPEC, "train").fingerprint, False]


def test_only_split_is_train():
    ((key, message),) = check_dataset(SPEC.model_copy(update={"split": "test"}))
    assert key == "split"
    assert "splits: train" in message


def test_missing_column_lists_the_existing_ones():
    ((key, message),) = check_dataset(SPEC.model_copy(update={"image_field": "pixels"}))
    assert key == "image_field"
    assert "columns: image, label, id" in message
