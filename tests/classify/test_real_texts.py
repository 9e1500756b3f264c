"""The baselines on real questions with 77 classes."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from saefari.classify.run import run_classify_job

from .conftest import MakeJob, Rows, write_rows


@pytest.mark.slow
def test_tfidf_separates_77_intents(real_data: Path, make_job: MakeJob, tmp_path: Path) -> None:
    with (real_data / "banking77" / "train.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[::4]  # sorted by class: every fourth row keeps all 77
    parts = (np.arange(len(rows)) % 5 == 0).astype(np.int8)
    nothing = np.zeros((len(rows), 1), dtype=np.float32)
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    labels: list[str | None] = [row["category"] for row in rows]
    texts = [row["text"] for row in rows]
    codes = sparse.csr_array((0, 1), dtype=np.float32)
    write_rows(tmp_path / "samples", Rows(labels, texts, [None] * len(rows), codes, offsets, nothing), parts, 2048)
    outcome = run_classify_job(make_job("tfidf", samples=tmp_path / "samples"))
    assert outcome.failures == []
    linear, tree = outcome.rows
    assert linear["n_train"] + linear["n_test"] > 0.95 * len(rows)
    assert linear["macro_f1"] > 0.7
    assert linear["macro_f1"] > tree["macro_f1"] > 0.03
    assert linear["roc_auc"] > 0.95
