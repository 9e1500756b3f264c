"""Select classes with enough rows, and make cross-validation folds that keep equal texts and groups together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from saefari.data.normal_form import normal_form
from saefari.errors import DataError, shown


def usable_classes(
    train_labels: Sequence[str], test_labels: Sequence[str], n_folds: int
) -> tuple[list[str], dict[str, str]]:
    """Return classes with at least n_folds training rows and one test row, sorted, and dropped class -> reason.

    Raises DataError if fewer than two remain.
    """
    train_counts, test_counts = Counter(train_labels), Counter(test_labels)
    dropped: dict[str, str] = {}
    for name in sorted(train_counts.keys() | test_counts.keys()):
        n_train, n_test = train_counts.get(name, 0), test_counts.get(name, 0)
        if n_train == 0:
            dropped[name] = "no training row"
        elif n_train < n_folds:
            dropped[name] = f"{n_train} training rows for {n_folds} folds"
        elif n_test == 0:
            dropped[name] = "no test row"
    classes = sorted(train_counts.keys() - dropped.keys())
    if len(classes) < 2:
        n_found = len(classes) + len(dropped)
        if n_found == 1:
            name = shown([*classes, *dropped][0])
            raise DataError(f"every row has the label {name}, but two labels are needed: check label_field")
        found = ", ".join(f"{shown(name)} ({reason})" for name, reason in list(dropped.items())[:5]) or "none"
        more = f" and {len(dropped) - 5:,} more" if len(dropped) > 5 else ""
        raise DataError(
            f"{len(classes)} of {n_found:,} classes have enough rows, but two are needed; left out: {found}{more}. "
            "Use more rows, fewer settings.cv_folds or another label_field"
        )
    return classes, dropped


def tied_rows(texts: Sequence[str | None], groups: Sequence[str | None]) -> np.ndarray:
    """Return a component id per row, int64 [n_rows]: rows with equal text or group, directly or in a chain, share one.

    Texts are compared by normal form, as in splits; the hash of an image is its own normal form.
    """
    keys: dict[tuple[str, str], int] = {}
    named = [("text", row, normal_form(text)) for row, text in enumerate(texts) if text is not None]
    named += [("group", row, " ".join(group.split())) for row, group in enumerate(groups) if group is not None]
    edges = [(row, keys.setdefault((kind, value), len(keys))) for kind, row, value in named]
    rows, columns = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    n_nodes = len(texts) + len(keys)
    graph = sparse.csr_array((np.ones(len(edges), dtype=bool), (rows, columns + len(texts))), shape=(n_nodes, n_nodes))
    component: np.ndarray = connected_components(graph, directed=False)[1]
    return component[: len(texts)].astype(np.int64)


def make_folds(classes: np.ndarray, ties: np.ndarray, n_folds: int, seed: int) -> np.ndarray:
    """Make stratified folds, int8 [n_rows]; rows with the same tie stay in one fold.

    classes: int [n_rows]. ties: int [n_rows], see `tied_rows`. Larger bundles of tied rows are placed first, each in
    the fold with the fewest rows of its classes; the order of equally large ones is seeded.
    """
    order = np.argsort(ties, kind="stable")
    bundles = np.split(order, np.flatnonzero(np.diff(ties[order])) + 1)
    generator = np.random.default_rng(seed)
    shuffled = [bundles[i] for i in generator.permutation(len(bundles))]
    counts = np.zeros((int(classes.max()) + 1, n_folds), dtype=np.int64)
    folds = np.empty(len(classes), dtype=np.int8)
    for bundle in sorted(shuffled, key=len, reverse=True):
        members = classes[bundle]
        fold = int(np.lexsort((counts.sum(axis=0), counts[members].sum(axis=0)))[0])
        folds[bundle] = fold
        np.add.at(counts[:, fold], members, 1)
    return folds
