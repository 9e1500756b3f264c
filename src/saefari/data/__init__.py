"""Datasets as a stream of examples, and the splits that keep training and test rows apart."""

from saefari.data.example import Example
from saefari.data.slug import dataset_slug
from saefari.data.splits import sample_rows, separate_test, split_rows, text_key
from saefari.data.text import TextDataset, check_dataset, open_dataset

__all__ = [
    "Example",
    "TextDataset",
    "check_dataset",
    "dataset_slug",
    "open_dataset",
    "sample_rows",
    "separate_test",
    "split_rows",
    "text_key",
]
