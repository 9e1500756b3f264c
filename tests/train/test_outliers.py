"""Outliers are excluded from training and evaluation of SAEs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from saefari.errors import DataError
from saefari.models.hooks import HookPoint
from saefari.models.identity import model_settings
from saefari.models.language_head import LanguageModel
from saefari.models.norms import norm_medians, outliers, without_outliers
from saefari.models.text_model import TextModel
from saefari.store.median_norm import write_median_norm
from saefari.train.activation_sources import ModelActivations
from saefari.train.job import SaeJob
from saefari.train.loss_recovered import LossRecovered
from saefari.train.outliers import norm_limits
from saefari.train.sae_fit import SaeFit

from ..saes.conftest import build
from .conftest import ListedRows
from .test_training_loop import ARCHITECTURES, CPU, options, same

HOOK = HookPoint(1, "resid_post")
LIMIT = 100.0


def states_with_outliers(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw 256 states with some outliers, and the same without them."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(256, 32, generator=generator)
    planted = torch.randperm(256, generator=generator)[: 1 + seed]
    x[planted] *= 1000
    ordinary = torch.ones(256, dtype=torch.bool)
    ordinary[planted] = False
    return x, x[ordinary]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_training_equals_training_without_outliers(make_job: Callable[..., SaeJob], tmp_path: Path, name: str) -> None:
    job = make_job(tmp_path, **options(name))
    limited = SaeFit(replace(job, norm_limit=LIMIT), 32, 20, 0, CPU)
    expected = SaeFit(job, 32, 20, 0, CPU)
    for step in range(20):
        with_them, without = states_with_outliers(step)
        if step == 0:
            limited.calibrate(with_them)
            expected.calibrate(without)
        torch.manual_seed(step)
        limited.step(with_them)
        torch.manual_seed(step)
        expected.step(without)
    assert same(limited, expected)
    assert limited.trainer.n_training_samples == expected.trainer.n_training_samples


def test_a_norm_equal_to_the_limit_is_kept() -> None:
    hidden = torch.tensor([[3.0, 4.0], [3.0, 4.1], [0.0, 0.0], [float("inf"), 0.0]])
    found = outliers(hidden, 5.0)
    assert found is not None
    assert found.tolist() == [False, True, False, True]
    assert torch.equal(without_outliers(hidden, 5.0), hidden[[0, 2]])
    assert outliers(hidden[[0, 2]], 5.0) is outliers(hidden, None) is None
    assert without_outliers(hidden, None) is hidden


def test_the_median_is_over_all_valid_positions(
    tiny_model: TextModel, listed_rows: ListedRows, source: Callable[..., ModelActivations]
) -> None:
    activations = source(1, 2)
    found = norm_medians(tiny_model, [listed_rows.rows[:100], listed_rows.rows[100:150]], activations.hooks)
    for hook in activations.hooks:
        states = [
            part[hook]
            for row in listed_rows.rows[:150]
            for _, _, part in activations.forward([row], [hook])
            if len(row.valid)
        ]
        norms = torch.cat(states).norm(dim=-1).double().numpy()
        import numpy as np

        assert found[hook] == pytest.approx(float(np.median(norms)), rel=1e-5)
    assert norm_medians(tiny_model, [], activations.hooks) == dict.fromkeys(activations.hooks)


def test_the_median_of_a_corpus_is_that_of_its_first_contexts(source: Callable[..., ModelActivations]) -> None:
    activations = source(1, 2)
    medians = norm_medians(activations.forward.model, [list(activations.rows.training(0))], activations.hooks)  # type: ignore[arg-type]
    assert norm_limits(10.0, activations, activations.hooks, [], {}) == {
        hook: 10 * m for hook, m in medians.items() if m
    }
    assert norm_limits(None, activations, activations.hooks, [], {}) == dict.fromkeys(activations.hooks)


def test_the_lowest_limit_of_several_datasets_is_used(
    source: Callable[..., ModelActivations], tmp_path: Path, save_tiny: Callable[..., Path]
) -> None:
    from saefari.store import SamplesWriter, read_samples_record

    identity = model_settings(str(save_tiny("gpt2")), None, "float32", "cpu")
    folders = [tmp_path / name for name in ("one", "two", "empty")]
    for folder, median in zip(folders, (3.0, 2.0, None), strict=True):
        with SamplesWriter(folder, {}) as writer:
            writer.write({"row": 0, "input_ids": [4], "valid": [0]})
        record = read_samples_record(folder)
        assert record is not None
        settings: dict[str, Any] = {"model": identity, "samples": record["sha256"], "hook": HOOK.name}
        write_median_norm(folder, 1, settings, median)
    assert norm_limits(10.0, source(1), [HOOK], folders, identity) == {HOOK: 20.0}
    with pytest.raises(DataError, match="median norm of layer 1 is missing"):
        norm_limits(10.0, source(1), [HOOK], folders, identity | {"dtype": "bfloat16"})


def test_cross_entropy_is_measured_with_unchanged_outliers(
    load_tiny_language: Callable[..., LanguageModel], listed_rows: ListedRows
) -> None:
    loaded = build("jumprelu", d_in=32, d_sae=64)
    loaded.hook = HOOK
    measured = LossRecovered(load_tiny_language("llama"), listed_rows.rows[:30], max_tokens=64)
    free, bound = measured.measure(loaded), measured.measure(loaded, 0.0)
    assert free is not None
    assert bound is not None
    assert free.spliced != pytest.approx(free.clean)
    assert bound.spliced == bound.zero == pytest.approx(bound.clean)  # every position is an outlier and is unchanged
    assert measured.measure(loaded, 1e9) == free
