"""Speed of classification relative to a dense procedure; both single-threaded, in one run.

dense: on dense matrices, for each setting and the hidden states, logistic regression with the same candidates for C x 5
folds and a tree with 36 settings x 5 folds.
ours: the same settings and baseline through classify jobs that read the stored codes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from saefari.classify.features import binarize, pool_codes, top_n_counts
from saefari.classify.linear import INITIAL_EXPONENTS
from saefari.classify.run import run_classify_job
from saefari.config import Config, parse_config
from saefari.pipeline.execute.classify_jobs import classify_jobs
from saefari.pipeline.execute.run_plan import run_plan
from saefari.pipeline.plan.make_plan import make_plan
from saefari.pipeline.plan.plan import Plan
from saefari.store import iter_codes, read_pooled_hidden, read_samples, read_split

TOP_N = [0, 5, -1]
BINARIZE = [None, 1.0]
LAYER, WIDTH = 3, "3k"
TEST_SIZE = 0.6  # many test rows, for a macro-F1 with little noise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--positions", type=int, default=100_000, help="to train the SAE on")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        plan = make_plan(_config(Path(scratch), flags.rows, flags.positions))
        report = run_plan(plan, classifying=False)
        if report.failures:
            raise SystemExit(report.failures)
        with threadpool_limits(1):
            ours, our_scores = _ours(plan)
            dense, dense_scores = _dense(plan)
    settings = f"settings {len(TOP_N) * len(BINARIZE)} (top_n {TOP_N} x binarize {BINARIZE})"
    print(f"rows {flags.rows}, {TEST_SIZE:.0%} of them test rows, {settings}")
    print(f"dense procedure {dense:8.1f} s    ours {ours:8.1f} s")
    print(f"ours is {dense / ours:5.1f} times as fast                 (goal: at least 25)")
    for classifier in ("linear", "tree"):
        a, b = mean(our_scores[classifier]), mean(dense_scores[classifier])
        print(f"mean test macro-F1, {classifier:6}: ours {a:.4f}, dense {b:.4f}, difference {a - b:+.4f}")
    both = [mean(s["linear"] + s["tree"]) for s in (our_scores, dense_scores)]
    print(f"difference over both {both[0] - both[1]:+.4f}             (goal: at least -0.01)")


def _config(folder: Path, rows: int, positions: int) -> Config:
    training = {"architecture": "batchtopk", "k": 16, "n_positions": positions}
    return parse_config(
        {
            "settings": {
                "base_save_dir": str(folder / "activations"),
                "base_classify_dir": str(folder / "classifications"),
                "max_samples": rows,
                "test_size": TEST_SIZE,
                "max_length": 128,
                "device": "cpu",
            },
            "models": [
                {
                    "name": "sentence-transformers/all-MiniLM-L6-v2",
                    "layers": [LAYER],
                    "widths": [WIDTH],
                    "sae_train": training,
                }
            ],
            "datasets": [{"name": "python-docs", "text_field": "text"}],
            "classification_params": {
                "top_n_values": TOP_N,
                "binarize_values": BINARIZE,
                "hidden_pooling": ["mean"],
            },
        }
    )


def _ours(plan: Plan) -> tuple[float, dict[str, list[float]]]:
    """Return the seconds of the jobs of SAE and hidden states, and the scores of the SAE."""
    scores: dict[str, list[float]] = {"linear": [], "tree": []}
    start = time.process_time()
    for job in classify_jobs(plan):
        if job.source not in ("sae", "hidden"):
            continue
        outcome = run_classify_job(job)
        if outcome.failures:
            raise SystemExit(outcome.failures)
        for row in outcome.rows if job.source == "sae" else []:
            scores[row["classifier"]].append(row["macro_f1"])
    return time.process_time() - start, scores


def _dense(plan: Plan) -> tuple[float, dict[str, list[float]]]:
    samples = plan.samples(plan.models[0], plan.datasets[0], "train")
    labels = np.asarray(read_samples(samples, ["label"])["label"].to_pylist())
    parts = read_split(samples)
    codes, offsets = _read(samples / f"layer_{LAYER}" / WIDTH)
    hidden = read_pooled_hidden(samples / f"layer_{LAYER}" / "hidden", "mean")
    scores: dict[str, list[float]] = {"linear": [], "tree": []}
    start = time.process_time()
    for top_n in TOP_N:
        for threshold in BINARIZE:
            features = pool_codes(codes, offsets, "sum") if top_n == 0 else top_n_counts(codes, offsets, top_n)
            if threshold is not None:
                features = binarize(features, threshold)
            for classifier, score in _grid(features.toarray(), labels, parts).items():
                scores[classifier].append(score)
            _grid(hidden, labels, parts)
    return time.process_time() - start, scores


def _read(folder: Path) -> tuple[Any, np.ndarray]:
    from scipy import sparse

    shards = list(iter_codes(folder))
    codes = sparse.vstack(
        [sparse.csr_array((s.values, s.indices, s.indptr), shape=(s.offsets[-1], s.d_sae)) for s in shards],
        format="csr",
    )
    lengths = np.concatenate([np.diff(s.offsets) for s in shards])
    return codes, np.concatenate([[0], np.cumsum(lengths)])


def _grid(features: np.ndarray, labels: np.ndarray, parts: np.ndarray) -> dict[str, float]:
    """Return test macro-F1 of both classifiers after a plain grid search."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeClassifier

    train, test = parts == 0, parts == 1
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    squared_length = int((features[train].std(axis=0) > 0).sum())  # of a row of features with unit deviation
    searches = {
        "linear": (
            make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
            {"logisticregression__C": [10 ** (half / 2) / squared_length for half in INITIAL_EXPONENTS]},
        ),
        "tree": (
            DecisionTreeClassifier(random_state=0),
            {
                "criterion": ["gini", "entropy"],
                "max_depth": [3, 4, 5],
                "min_samples_split": [2, 10],
                "min_samples_leaf": [1, 5, 20],
            },
        ),
    }
    scores = {}
    for name, (estimator, grid) in searches.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            search = GridSearchCV(estimator, grid, scoring="f1_macro", cv=folds)
            search.fit(features[train], labels[train])
        scores[name] = float(f1_score(labels[test], search.predict(features[test]), average="macro"))
    return scores


if __name__ == "__main__":
    main()
