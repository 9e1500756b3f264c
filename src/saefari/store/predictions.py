"""predictions.parquet: predictions of a setting's classifiers for every test row.

Columns: row (dataset row number), id, label; per classifier `predicted_<classifier>` and
`<classifier>:<class>`, the probability of each class.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from saefari.errors import StoreError
from saefari.store.layout import PREDICTIONS


@dataclass(frozen=True)
class Predictions:
    """Predictions of one classifier for n test rows and K classes.

    rows: int64 [n], dataset row numbers. ids, labels, predicted: object [n], strings.
    probabilities: float32 [n, K], in the order of `classes`.
    """

    rows: np.ndarray
    ids: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray
    classes: list[str]


def read_predictions(folder: Path, classifier: str) -> Predictions:
    """Read the predictions of one classifier from a setting's folder.

    Raises StoreError if there are none (imported results) or they cannot be read.
    """
    path = folder / PREDICTIONS
    prefix = f"{classifier}:"
    try:
        table = pq.read_table(path)
        columns = [name for name in table.column_names if name.startswith(prefix)]
        ids, labels, predicted = (
            table[name].cast(pa.string()).to_numpy() for name in ("id", "label", f"predicted_{classifier}")
        )
        probabilities = np.stack([table[name].to_numpy() for name in columns], axis=1)
        rows = table["row"].to_numpy()
    except FileNotFoundError:
        raise StoreError(f"{path} does not exist: imported results have no predictions of single rows") from None
    except (OSError, KeyError, ValueError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise StoreError(f"{path} cannot be read ({error}): run `python run_experiments.py --classify-only`") from None
    classes = [name.removeprefix(prefix) for name in columns]
    return Predictions(rows, ids, labels, predicted, probabilities, classes)
