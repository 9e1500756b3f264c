"""predictions.parquet of each setting: what its classifiers say of every test row.

Columns: row (its number in the dataset), id, label; per classifier `predicted_<classifier>` and
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
    """One classifier's answers for the test rows, n of them; K classes.

    rows: int64 [n], their numbers in the dataset. ids, labels, predicted: object [n], as text.
    probabilities: float32 [n, K], in the order of `classes`.
    """

    rows: np.ndarray
    ids: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray
    classes: list[str]


def read_predictions(folder: Path, classifier: str) -> Predictions:
    """The predictions of one classifier of a setting's folder.

    Raises StoreError where there are none (imported results), or they cannot be read.
    """
    path = folder / PREDICTIONS
    start = f"{classifier}:"
    try:
        table = pq.read_table(path)
        columns = [name for name in table.column_names if name.startswith(start)]
        ids, labels, predicted = (
            table[name].cast(pa.string()).to_numpy() for name in ("id", "label", f"predicted_{classifier}")
        )
        probabilities = np.stack([table[name].to_numpy() for name in columns], axis=1)
        rows = table["row"].to_numpy()
    except FileNotFoundError:
        raise StoreError(f"{path} is not there: of imported results the single rows are not known") from None
    except (OSError, KeyError, ValueError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise StoreError(f"{path} cannot be read ({error}): run `python run_experiments.py --classify-only`") from None
    classes = [name.removeprefix(start) for name in columns]
    return Predictions(rows, ids, labels, predicted, probabilities, classes)
