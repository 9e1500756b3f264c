"""A tiny random model, texts for it, and SAEs to train."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saefari.config import SaeTraining
from saefari.models.forward import Forward
from saefari.models.hooks import HookPoint
from saefari.models.text_model import TextModel
from saefari.store import TokenisedRow
from saefari.train.activation_sources import ModelActivations
from saefari.train.job import SaeJob


@dataclass(frozen=True)
class ListedRows:
    """Rows in memory, of which the last twenty are held out."""

    rows: list[TokenisedRow]

    def training(self, epoch: int) -> Iterator[TokenisedRow]:
        return iter(self.rows[:-20])

    def held_out(self) -> Iterator[TokenisedRow]:
        return iter(self.rows[-20:])


@pytest.fixture(scope="session")
def tiny_model(load_tiny: Callable[..., TextModel]) -> TextModel:
    """A four-block GPT-2 of 32 dimensions."""
    return load_tiny("gpt2")


@pytest.fixture(scope="session")
def listed_rows() -> ListedRows:
    """420 texts of 2 to 12 tokens, of which the first is not valid."""
    generator = np.random.default_rng(0)
    rows = []
    for _ in range(420):
        input_ids = generator.integers(2, 40, generator.integers(2, 13)).astype(np.int32)
        rows.append(TokenisedRow(input_ids, np.arange(1, len(input_ids), dtype=np.int32)))
    return ListedRows(rows)


@pytest.fixture(scope="session")
def source(tiny_model: TextModel, listed_rows: ListedRows) -> Callable[..., ModelActivations]:
    """source(*layers, max_tokens=512): activations of the tiny model on the rows."""

    def make(*layers: int, max_tokens: int = 512) -> ModelActivations:
        hooks = [HookPoint(layer, "resid_post") for layer in layers or (1,)]
        return ModelActivations(Forward(tiny_model, max_tokens), listed_rows, hooks)

    return make


@pytest.fixture(scope="session")
def make_job() -> Callable[..., SaeJob]:
    """make_job(folder, layer=1, width="64", **options of SaeTraining): a job that takes seconds."""

    def make(folder: Path, layer: int = 1, width: str = "64", **options: Any) -> SaeJob:
        default: dict[str, Any] = {} if "architecture" in options else {"k": 4}
        default |= {"n_positions": 20_000, "batch_size": 256, "buffer_size": 2048, "lr": 3e-3}
        section = SaeTraining(**(default | options))
        hook = HookPoint(layer, "resid_post")
        settings = section.model_dump(mode="json")
        metadata = {"hook_name": hook.name}
        return SaeJob(layer, width, section, hook, folder / f"layer_{layer}" / width, settings, metadata)

    return make
