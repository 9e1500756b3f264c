from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import pytest

from saefari.config import DatasetSpec
from saefari.data import Dataset, Example, check_dataset, open_dataset
from saefari.data.docstrings import MAX_WORDS, MIN_WORDS, prose

SPEC = DatasetSpec(name="python-docs", text_field="text", label_field="label", id_field="id", group_field="module")

ALONE = """
import json, socket, sys
def refuse(*_): raise AssertionError("tried the network")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
from saefari.config import DatasetSpec
from saefari.data import check_dataset, open_dataset
spec = DatasetSpec(name="python-docs", text_field="text")
assert check_dataset(spec) == []
heavy = {"torch", "transformers", "sae_lens", "datasets", "sklearn", "matplotlib", "plotly"}
fingerprint = open_dataset(spec, "train").fingerprint
print(json.dumps([fingerprint, sorted(heavy & set(sys.modules))]))
"""


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return open_dataset(SPEC, "train")


@pytest.fixture(scope="module")
def examples(dataset: Dataset) -> list[Example]:
    return list(dataset.rows())


def test_eight_balanced_classes_of_about_1000_rows(dataset, examples):
    counts = Counter(example.label for example in examples)
    assert len(counts) == 8
    assert set(counts.values()) == {1000}
    assert dataset.n_rows == len(examples) == 8000
    assert {"numpy", "pandas", "scikit-learn", "scipy", "torch", "plotly"} < set(counts)


def test_every_prefix_is_balanced(examples):
    for size in (8, 80, 333):
        counts = Counter(example.label for example in examples[:size])
        assert max(counts.values()) - min(counts[label] for label in counts) <= 1
        assert len(counts) == 8


def test_texts_and_ids_are_unique(examples):
    assert len({example.text.lower() for example in examples}) == len(examples)
    assert len({example.id for example in examples}) == len(examples)


def test_paragraphs_are_prose(examples):
    for example in examples:
        assert MIN_WORDS <= len(example.text.split()) <= MAX_WORDS
        assert example.text == " ".join(example.text.split())
        assert ">>>" not in example.text
        assert "----" not in example.text


def test_group_is_a_module_of_the_labelled_library(examples):
    assert {e.group.split(".")[0] for e in examples if e.label == "scikit-learn"} == {"sklearn"}
    assert len({example.group for example in examples}) > 500


def test_another_process_reads_the_same_rows_without_network_or_heavy_imports(dataset):
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [dataset.fingerprint, []]


def test_only_split_is_train():
    ((key, message),) = check_dataset(SPEC.model_copy(update={"split": "test"}))
    assert (key, "splits: train" in message) == ("split", True)


def test_missing_column_lists_the_existing_ones():
    ((key, message),) = check_dataset(SPEC.model_copy(update={"text_field": "texts"}))
    assert key == "text_field"
    assert "id, text, label, module (did you mean 'text'?)" in message


def test_prose_excludes_lists_code_and_headings():
    docstring = """Summarise the values along one of the axes of an array.

Parameters
----------
values : array
    The values that are to be summarised along one axis of the array.

A list goes on until the next heading, whatever it looks like in between.

Notes
-----
The summary is computed in one pass over the data, so it needs
little memory even for large arrays.

>>> summarise([1, 2, 3]) of some values that are given here as a list
2

    An indented block is a literal example of something and not prose at all.

Too short to tell.

Examples
--------
The examples section shows how to call it on a small array of values.
"""
    assert list(prose(docstring)) == [
        "Summarise the values along one of the axes of an array.",
        "The summary is computed in one pass over the data, so it needs little memory even for large arrays.",
    ]


def test_prose_excludes_google_style_sections():
    docstring = """Load the weights of the model from a folder on this machine.

Args:
    path: where the folder lies, as a string or a path, relative or absolute.

Returns: the model with its weights, ready to be used for generating some text.
"""
    assert list(prose(docstring)) == ["Load the weights of the model from a folder on this machine."]
