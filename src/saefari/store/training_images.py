"""Which pictures a model that was trained in a run has learned from, and which test rows hold one of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from saefari.store.layout import SAMPLES, TRAINING_ROWS
from saefari.store.samples import has_images, iter_samples, read_split

_TEST = 1


def read_training_digests(model: Path) -> pa.Array:
    """Digests (as samples.parquet's `pixels`) of the pictures that a model learned from or was chosen by."""
    rows = pq.read_table(model / TRAINING_ROWS, columns=["part", "pixels"])
    used = pc.is_in(rows["part"], pa.array(["train", "validation"]))
    return rows.filter(used)["pixels"].combine_chunks()


def count_leaked_test_rows(samples: Path, learned: pa.Array) -> int:
    """Test rows of a split whose picture is one of those; 0 where the split holds no images or does not exist."""
    if not (samples / SAMPLES).exists() or not has_images(samples):
        return 0
    pictures = pa.concat_arrays([table["pixels"].combine_chunks() for table in iter_samples(samples, ["pixels"])])
    known = pc.is_in(pictures, learned).to_numpy(zero_copy_only=False)
    return int(np.sum(known & (read_split(samples) == _TEST)))
