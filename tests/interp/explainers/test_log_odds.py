"""The log-odds ratio with a Dirichlet prior against the paper's formula, and the counts of the background."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saefari.interp.explainers.lexicon.background import FIRST, SENTENCE, Background
from saefari.interp.explainers.lexicon.log_odds import PRIOR, log_odds
from tests.interp.explainers.planted import corpus, tokens_of


def reference(y_i: np.ndarray, y_j: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Monroe et al. (2008), equations 16 and 22, for all terms at once; the prior has the frequencies of group j."""
    alpha = PRIOR * y_j / y_j.sum()
    n_i, n_j, alpha_0 = y_i.sum(), y_j.sum(), alpha.sum()
    omega_i = (y_i + alpha) / (n_i + alpha_0 - y_i - alpha)
    omega_j = (y_j + alpha) / (n_j + alpha_0 - y_j - alpha)
    delta = np.log(omega_i) - np.log(omega_j)
    return delta, delta / np.sqrt(1 / (y_i + alpha) + 1 / (y_j + alpha))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 10_000)), min_size=2, max_size=20))
def test_log_odds_equal_the_formula_of_the_paper(counts: list[tuple[int, int]]) -> None:
    inside, outside = np.asarray(counts, dtype=np.float64).T
    found = [
        log_odds(y, inside.sum(), background, outside.sum()) for y, background in zip(inside, outside, strict=True)
    ]
    delta, z = reference(inside, outside)
    np.testing.assert_allclose(np.asarray(found), np.stack([delta, z], axis=1), rtol=1e-9, atol=1e-9)


def test_a_term_as_frequent_as_elsewhere_has_no_log_odds() -> None:
    assert log_odds(4, 40, 100, 1000) == (pytest.approx(0), pytest.approx(0))


def test_background_counts_equal_plain_counts() -> None:
    rows = corpus()[:300]
    background = Background(rows)
    words = [[w for w in "".join(row).casefold().replace("_", " ").split() if w.isalpha()] for row, _ in rows]
    plain = Counter(word for row in words for word in row)
    word, n = next((w, n) for w, n in plain.most_common() if len(w) > 6)
    assert background.count(("word", word))[0] >= n
    assert background.count(FIRST) == (300, sum(len(row) for row, _ in rows))

    background = Background([(tokens_of("The cats sat. Cats sit, the cat sat."), "a"), (tokens_of("the END"), None)])
    n_units = 13
    assert background.count(("word", "the")) == (3, n_units)
    assert background.count(("stem", "cat")) == (3, n_units)
    assert background.count(("pair", "the", "cat")) == (1, n_units)
    assert background.count(("gap", "the", "sat")) == (2, n_units)
    assert background.count(("suffix", "at")) == (3, n_units)
    assert background.count(("prefix", "cat")) == (2, n_units)
    assert background.count(("kind", "words in capital letters")) == (1, n_units)
    assert background.count(SENTENCE) == (1, n_units)
    assert background.count(("topic", "sat")) == (1, 2)
    assert background.count(("word", "absent"))[0] == 0


def test_rare_terms_are_dropped_when_there_are_too_many() -> None:
    rows = [(tokens_of(f"common word{n} thing{n}"), None) for n in range(500)]
    background = Background(rows, most_terms=50)
    assert background.count(("word", "common"))[0] == 500
    assert sum(background.count(("word", f"word{n}"))[0] for n in range(500)) <= 50
