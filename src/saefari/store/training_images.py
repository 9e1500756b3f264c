"""Training images of models trained in a run, to detect test rows that a model was trained on."""

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
    """Return digests (as `pixels` in samples.parquet) of the images used to train and to select a model."""
    rows = pq.read_table(model / TRAINING_ROWS, columns=["part", "pixels"])
    used = pc.is_in(rows["part"], pa.array(["train", "validation"]))
    return rows.filter(used)["pixels"].combine_chunks()


def count_leaked_test_rows(samples: Path, training_digests: pa.Array) -> int:
    """Count test rows whose image is among `training_digests`; 0 if the split is missing or has no images."""
    if not (samples / SAMPLES).exists() or not has_images(samples):
        return 0
    digests = pa.concat_arrays([table["pixels"].combine_chunks() for table in iter_samples(samples, ["pixels"])])
    leaked = pc.is_in(digests, training_digests).to_numpy(zero_copy_only=False)
    return int(np.sum(leaked & (read_split(samples) == _TEST)))
