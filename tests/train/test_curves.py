"""The figures of a training step, on constructed inputs and outputs, and at which steps curves have points."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch

from saefari.train.curves import POINTS, Curves, figures_of, is_point


@pytest.mark.parametrize("scale", [1.0, 8.0])
def test_figures_are_those_of_the_states_before_they_were_scaled(scale: float) -> None:
    x = torch.tensor([[1.0, 5.0], [3.0, 5.0], [5.0, 5.0], [7.0, 5.0]])  # variance 20 in all, about the mean (4, 5)
    error = torch.tensor([[1.0, 0.0], [0.0, -2.0], [0.0, 0.0], [0.0, 0.0]])
    codes = torch.tensor([[0.5, 0.0, 2.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    output = SimpleNamespace(sae_in=scale * x, sae_out=scale * (x + error), feature_acts=codes)
    figures = figures_of(output, scale, dead=0.25)
    assert figures.fvu == pytest.approx(5 / 20)
    assert figures.l0 == 1.5
    assert figures.dead == 0.25
    assert figures.mse == pytest.approx(5 / 8)  # per position and dimension, in the states' own unit
    assert figures.finite
    diverged = SimpleNamespace(sae_in=x, sae_out=x * float("nan"), feature_acts=codes)
    assert not figures_of(diverged, 1.0, 0.0).finite


@pytest.mark.parametrize("n_steps", [1, 7, POINTS, POINTS + 1, 1999, 12_345])
def test_a_curve_has_evenly_spread_points_and_always_the_last(n_steps: int) -> None:
    points = [step for step in range(1, n_steps + 1) if is_point(step, n_steps)]
    assert POINTS / 2 - 1 <= len(points) <= POINTS + 1 or points == list(range(1, n_steps + 1))
    assert points[-1] == n_steps
    assert len({later - earlier for earlier, later in pairwise(points[:-1])}) <= 1


def test_every_figure_has_a_curve() -> None:
    curves = Curves()
    output = SimpleNamespace(sae_in=torch.eye(2), sae_out=torch.zeros(2, 2), feature_acts=torch.ones(2, 3))
    curves.add(64, figures_of(output, 1.0, 0.5))
    assert curves.to_json() == {"positions": [64], "fvu": [2.0], "l0": [3.0], "dead": [0.5], "mse": [0.5]}
