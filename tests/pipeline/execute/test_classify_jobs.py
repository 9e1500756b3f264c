"""A finished result is used again only while everything that it was made from is the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from saefari.pipeline.execute.classify_jobs import inputs_fingerprint
from saefari.store import Manifest, SamplesWriter, write_shard, write_split

FEATURES = "layer_1/64"


def write(folder: Path, texts: str = "abcd", parts: str = "0011", states: float = 1.0) -> Path:
    """Samples of one-letter texts, their split and two shards of hidden states; the arguments decide all of it."""
    nothing: list[int] = []
    with SamplesWriter(folder, {}) as writer:
        for row, text in enumerate(texts):
            writer.write(
                {"row": row, "id": str(row), "text": text, "label": "x", "group": None, "n_tokens": 0}
                | dict.fromkeys(("input_ids", "valid", "span_start", "span_end"), nothing)
            )
    write_split(folder, np.array([int(part) for part in parts], dtype=np.int8), {}, [])
    manifest = Manifest("hidden", {}, 4)
    for index, value in enumerate((1.0, states)):
        rows = (2 * index, 2 * index + 2)
        manifest.add(write_shard(folder / FEATURES, index, rows, {"pooled_mean": np.full((2, 3), value)}))
    manifest.save(folder / FEATURES)
    return folder


def test_the_same_content_elsewhere_has_the_same_fingerprint(tmp_path: Path) -> None:
    one, other = write(tmp_path / "one"), write(tmp_path / "other")
    assert inputs_fingerprint(one, other, FEATURES) == inputs_fingerprint(other, one, FEATURES)
    assert inputs_fingerprint(one, None, None) == inputs_fingerprint(other, None, None)


@pytest.mark.parametrize("changed", [{"texts": "abce"}, {"parts": "0101"}, {"states": 2.0}])
@pytest.mark.parametrize("is_test", [False, True])
def test_other_rows_another_split_and_other_features_change_it(
    tmp_path: Path, changed: dict[str, str | float], is_test: bool
) -> None:
    one, other = write(tmp_path / "one"), write(tmp_path / "other", **changed)  # type: ignore[arg-type]
    if is_test:
        assert inputs_fingerprint(one, one, FEATURES) != inputs_fingerprint(one, other, FEATURES)
    assert inputs_fingerprint(one, None, FEATURES) != inputs_fingerprint(other, None, FEATURES)
    reads_features = "states" in changed
    assert (inputs_fingerprint(one, None, None) != inputs_fingerprint(other, None, None)) != reads_features
