"""Scaling, selection and vocabulary of a fold use its training rows only."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from saefari.classify.feature_sources import FeatureSet, code_features, hidden_features, term_features
from saefari.classify.fit import make_problem
from saefari.classify.settings import Setting
from saefari.classify.task import Task, load_task
from saefari.classify.terms import WORDS_AND_CHARACTERS

from .conftest import Rows, every_fifth_tests, make_rows, write_rows

FOLD = 1


def features_of(source: str, folder: Path) -> tuple[FeatureSet, Task]:
    task = load_task([folder], 3, seed=0)
    if source == "hidden":
        return hidden_features([folder / "layer_3" / "hidden"], "mean", task), task
    if source == "tfidf":
        return term_features(task)[WORDS_AND_CHARACTERS], task
    setting = Setting("sum", 0, select_k=7)
    ((_, build),) = code_features([folder / "layer_3" / "3k"], [setting], task)
    return build(), task


@pytest.mark.parametrize("source", ["sae", "hidden", "tfidf"])
def test_held_out_rows_do_not_affect_a_fold(source: str, tree: Path, tmp_path: Path) -> None:
    clean, task = features_of(source, tree)
    held = np.zeros(240, dtype=bool)
    held[task.train[task.folds == FOLD]] = True
    rows, noise = make_rows(240, 4, seed=1), np.random.default_rng(0)
    values = rows.codes.toarray()
    at_held = np.repeat(held, np.diff(rows.offsets))
    values[at_held] = 50 * noise.random((int(at_held.sum()), values.shape[1]))
    poisoned_rows = Rows(
        labels=rows.labels,
        texts=[f"{text} {text}" if h else text for text, h in zip(rows.texts, held, strict=True)],
        groups=rows.groups,
        codes=sparse.csr_array(values),
        offsets=rows.offsets,
        hidden=np.where(held[:, None], noise.normal(size=rows.hidden.shape) * 9, rows.hidden).astype(np.float32),
    )
    write_rows(tmp_path, poisoned_rows, every_fifth_tests(240, 4))
    poisoned, _ = features_of(source, tmp_path)
    scalings = [make_problem(features, task, None, 0).fold_scalings[FOLD] for features in (clean, poisoned)]
    kept = [scaling.scale[scaling.columns] for scaling in scalings]
    np.testing.assert_array_equal(kept[0], kept[1])
    if source == "tfidf":  # the texts doubled have new pairs of words, which the fold must not see
        names = [np.asarray(f.names)[v.columns] for f, v in zip((clean, poisoned), scalings, strict=True)]
        np.testing.assert_array_equal(names[0], names[1])
    else:
        np.testing.assert_array_equal(scalings[0].columns, scalings[1].columns)
    if source == "hidden":
        np.testing.assert_array_equal(scalings[0].shift, scalings[1].shift)


def test_all_settings_from_one_pass_over_the_codes(tree: Path) -> None:
    """top-n, pooling and binarizing, through shards, against one matrix of all rows."""
    rows = make_rows(240, 4, seed=1)
    task = load_task([tree], 3, seed=0)
    settings = [Setting("max", 0), Setting("count", -1, binarize=1.0), Setting("count", 2)]
    found = {setting: build() for setting, build in code_features([tree / "layer_3" / "3k"], settings, task)}
    dense = rows.codes.toarray()
    samples = [dense[start:stop] for start, stop in pairwise(rows.offsets)]
    largest = np.array([s.max(axis=0) if len(s) else np.zeros(60) for s in samples])
    fires = np.array([(s > 0).sum(axis=0) for s in samples])
    np.testing.assert_allclose(found[settings[0]].train.toarray(), largest[task.train], rtol=1e-3)  # stored as float16
    np.testing.assert_array_equal(found[settings[1]].test.toarray(), fires[task.test] > 1)
    assert found[settings[2]].train.sum(axis=1).max() <= 2 * 6
