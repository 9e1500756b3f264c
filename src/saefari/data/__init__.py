"""Reading of datasets as streams of examples, decoding of images, and train/test splits without leakage."""

from saefari.data.dataset import Dataset, check_dataset, open_dataset
from saefari.data.example import Example
from saefari.data.images import BadImage, ImageSource, decode_image, pixels_digest
from saefari.data.normal_form import normal_form
from saefari.data.slug import dataset_slug
from saefari.data.splits import sample_rows, separate_test, split_rows, text_key

__all__ = [
    "BadImage",
    "Dataset",
    "Example",
    "ImageSource",
    "check_dataset",
    "dataset_slug",
    "decode_image",
    "normal_form",
    "open_dataset",
    "pixels_digest",
    "sample_rows",
    "separate_test",
    "split_rows",
    "text_key",
]
