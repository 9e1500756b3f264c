"""Datasets as a stream of examples, and the splits that keep training and test rows apart."""

from saefari.data.dataset import Dataset, check_dataset, open_dataset
from saefari.data.example import Example
from saefari.data.slug import dataset_slug
from saefari.data.splits import sample_rows, separate_test, split_rows, text_key

__all__ = [
    "Dataset",
    "Example",
    "check_dataset",
    "dataset_slug",
    "open_dataset",
    "sample_rows",
    "separate_test",
    "split_rows",
    "text_key",
]
