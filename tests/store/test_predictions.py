"""Reading of predictions.parquet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from saefari.errors import StoreError
from saefari.store import read_predictions, write_parquet

TABLE = pa.table(
    {
        "row": [3, 8],
        "id": ["x", "y"],
        "label": ["row", "id"],
        "predicted_tree": ["row", "row"],
        "tree:row": np.array([0.9, 0.6], dtype=np.float32),
        "tree:id": np.array([0.1, 0.4], dtype=np.float32),
        "predicted_linear": ["id", "id"],
        "linear:row": np.array([0.2, 0.3], dtype=np.float32),
        "linear:id": np.array([0.8, 0.7], dtype=np.float32),
    }
)


def test_classes_may_have_the_names_of_columns(tmp_path: Path) -> None:
    write_parquet(tmp_path / "predictions.parquet", TABLE)
    found = read_predictions(tmp_path, "tree")
    assert found.classes == ["row", "id"]
    assert found.rows.tolist() == [3, 8]
    assert found.ids.tolist() == ["x", "y"]
    assert found.labels.tolist() == ["row", "id"]
    assert found.predicted.tolist() == ["row", "row"]
    np.testing.assert_allclose(found.probabilities, [[0.9, 0.1], [0.6, 0.4]], rtol=1e-6)


@pytest.mark.parametrize(
    "content",
    [None, b"", b"PAR1 but no more", TABLE.drop_columns(["label"]), TABLE.drop_columns(["tree:row", "tree:id"])],
    ids=["none", "empty", "damaged", "without labels", "without the classifier"],
)
def test_missing_or_invalid_file_is_an_error(tmp_path: Path, content: bytes | pa.Table | None) -> None:
    if isinstance(content, bytes):
        (tmp_path / "predictions.parquet").write_bytes(content)
    elif content is not None:
        write_parquet(tmp_path / "predictions.parquet", content)
    with pytest.raises(StoreError, match=r"predictions\.parquet"):
        read_predictions(tmp_path, "tree")
