"""Cross-validated macro-F1 of every candidate of the linear search, against scikit-learn at full convergence.

Folds, scalings and penalties are the same; scikit-learn fits each fold alone (tol 1e-8, float64). DATA must contain
`banking77`, `tweet_eval/irony` and `tweet_sentiment/<language>`, each with a train and a test split.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from saefari.classify.confusion import confusion, macro_f1
from saefari.classify.feature_sources import FeatureSet, code_features, hidden_features, term_features
from saefari.classify.fit import make_problem
from saefari.classify.linear import search_linear
from saefari.classify.problem import Problem
from saefari.classify.settings import Setting
from saefari.classify.task import Task, load_task
from saefari.config import parse_config
from saefari.pipeline.execute.run_plan import run_plan
from saefari.pipeline.plan.make_plan import Plan, make_plan

LAYER, WIDTH = 3, "3k"
CODES = {
    "SAE sum": Setting("sum", 0),
    "SAE max": Setting("max", 0),
    "SAE count": Setting("count", -1),
    "SAE binarized": Setting("sum", 0, binarize=1.0),
}
DATASETS = ("irony", "english", "french", "german", "spanish", "banking77")
GOAL = 0.004


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the datasets")
    parser.add_argument("work", type=Path, help="folder for activations; existing ones are reused")
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, default=DATASETS)
    parser.add_argument("--sources", nargs="+", help="beginnings of the sources' names, for example TF-IDF hidden")
    parser.add_argument("--folds", type=int, default=5, help="compare only so many of the 5 folds")
    parser.add_argument("--every", type=int, default=1, help="compare every n-th candidate")
    flags = parser.parse_args()
    plan = make_plan(parse_config(_config(flags.data, flags.work)))
    report = run_plan(plan, classifying=False)
    if report.failures:
        raise SystemExit(report.failures)
    largest = 0.0
    for dataset in flags.datasets:
        for source, features, task in _sources(plan, DATASETS.index(dataset)):
            if flags.sources and not source.startswith(tuple(flags.sources)):
                continue
            with threadpool_limits(1):
                problem = make_problem(features, task, None, 0)
                differences, seconds, best = _compare(problem, flags.folds, flags.every)
            worst = max(differences, key=abs)
            largest = max(largest, abs(worst))
            shown = " ".join(f"{difference:+.4f}" for difference in differences)
            print(
                f"{dataset:9} {source:13} best {best}, search {seconds:5.1f} s CPU, largest {worst:+.4f}: {shown}",
                flush=True,
            )
    print(f"largest difference {largest:.4f}                    (goal: at most {GOAL})")


def _config(data: Path, work: Path) -> dict[str, object]:
    languages = [{"name": str(data / "tweet_sentiment" / name), "id_field": "id"} for name in DATASETS[1:5]]
    datasets: list[dict[str, str]] = [
        {"name": str(data / "tweet_eval" / "irony")},
        *languages,
        {"name": str(data / "banking77"), "label_field": "category"},
    ]
    return {
        "settings": {
            "base_save_dir": str(work / "activations"),
            "base_classify_dir": str(work / "classifications"),
            "max_length": 128,
            "device": "cpu",
        },
        "models": [
            {
                "name": "sentence-transformers/all-MiniLM-L6-v2",
                "layers": [LAYER],
                "widths": [WIDTH],
                "sae_train": {"architecture": "batchtopk", "k": 16, "n_positions": 150_000},
            }
        ],
        "datasets": [dataset | {"test_split": "test", "text_field": "text"} for dataset in datasets],
    }


def _sources(plan: Plan, number: int) -> Iterator[tuple[str, FeatureSet, Task]]:
    model, dataset = plan.models[0], plan.datasets[number]
    folders = [plan.samples(model, dataset, split) for split in ("train", "test")]
    task = load_task(folders, 5, seed=0)
    for name, features in term_features(task).items():
        yield f"TF-IDF {name}", features, task
    at_layer = [folder / f"layer_{LAYER}" for folder in folders]
    settings = {setting: name for name, setting in CODES.items()}
    for setting, build in code_features([folder / WIDTH for folder in at_layer], list(settings), task):
        yield settings[setting], build(), task
    for how in ("mean", "last"):
        yield f"hidden {how}", hidden_features([folder / "hidden" for folder in at_layer], how, task), task


def _compare(problem: Problem, n_folds: int, every: int) -> tuple[list[float], float, str]:
    """Return the candidates' differences in macro-F1 (ours - converged), our seconds, and C of the best candidate."""
    started = time.process_time()
    search = search_linear(problem)
    seconds = time.process_time() - started
    penalties = search.penalties[::every]
    reference = np.zeros((len(penalties), n_folds))
    for fold in range(n_folds):
        train, held = problem.training_rows(fold), problem.held_out(fold)
        scaled = problem.fold_scalings[fold].apply(problem.matrix).astype(np.float64)
        twice = 2 if problem.n_classes == 2 else 1
        probe = LogisticRegression(tol=1e-8, max_iter=10_000, warm_start=True)
        for i, penalty in enumerate(penalties):
            probe.C = penalty * twice
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # a reference must converge
                probe.fit(scaled[train], problem.classes[train])
            counts = confusion(problem.classes[held], probe.predict(scaled[held]), problem.n_classes)
            reference[i, fold] = macro_f1(counts)
    differences = search.scores[::every, :n_folds].mean(axis=1) - reference.mean(axis=1)
    return differences.tolist(), seconds, f"C {search.penalties[search.best]:.3g}"


if __name__ == "__main__":
    main()
