"""Data of the SAE training benchmark: texts, their hidden states, and activation sources in memory."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from saefari.data.embedded import PythonDocs
from saefari.models.forward import Forward
from saefari.models.hooks import HookPoint
from saefari.models.text_model import TextModel
from saefari.store import TokenisedRow
from saefari.train.activation_sources import Block, Cursor, ModelActivations

HOOK = HookPoint(3, "resid_post")
MODEL = "sentence-transformers/all-MiniLM-L6-v2"
TRAIN, TEST = "train", "test"


@dataclass(frozen=True)
class InMemory:
    """A source of positions [n, d] in memory, shuffled in every pass."""

    states: torch.Tensor
    block: int = 16_384
    rows: Any = None

    def blocks(self, start: Cursor) -> Iterator[tuple[Block, Cursor]]:
        epoch, taken = start
        while True:
            order = torch.randperm(len(self.states), generator=torch.Generator().manual_seed(epoch))
            for first in range(taken, len(order), self.block):
                chosen = order[first : first + self.block]
                yield {HOOK: self.states[chosen]}, Cursor(epoch, first + len(chosen))
            epoch, taken = epoch + 1, 0

    def held_out(self) -> Iterator[Block]:
        return iter(())

    def positions(self, enough: int) -> int:
        return min(enough, len(self.states))


@dataclass(frozen=True)
class Listed:
    """Rows in memory."""

    rows: Sequence[Any]

    def training(self, epoch: int) -> Iterator[Any]:
        return iter(self.rows)

    def held_out(self) -> Iterator[Any]:
        return iter(())


class Text:
    """Hidden states of training and held-out texts, computed on first use."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._states: dict[tuple[str, bool], torch.Tensor] = {}
        self._model: TextModel | None = None

    @property
    def model(self) -> TextModel:
        self._model = self._model or TextModel.load(MODEL, device="cpu")
        return self._model

    def rows(self, side: str, more: bool) -> list[TokenisedRow]:
        """Tokenised texts in shuffled order; more: include the texts of `--data`."""
        found = self.model.tokenizer.tokenize(_texts(self.data if more else None)[side], 128)
        return [TokenisedRow(row.input_ids, row.valid) for row in found if len(row.valid)]

    def states(self, side: str, more: bool = True) -> torch.Tensor:
        """Float32 [n, 384] in shuffled order."""
        if (side, more) not in self._states:
            source = ModelActivations(Forward(self.model, 4096), Listed(self.rows(side, more)), [HOOK])
            parts: list[torch.Tensor] = []
            for block, cursor in source.blocks(Cursor()):
                if cursor.epoch:
                    break
                parts.append(block[HOOK])
            states = torch.cat(parts)
            order = torch.randperm(len(states), generator=torch.Generator().manual_seed(0))
            self._states[side, more] = states[order]
        return self._states[side, more]


def _texts(data: Path | None) -> dict[str, list[str]]:
    """Split python-docs and the column `text` of the files in `data` into training texts and a held-out tenth."""
    texts = [str(text) for (text,) in PythonDocs().values(["text"])]
    for path in sorted(data.rglob("t*.*")) if data else ():
        with path.open(encoding="utf-8") as file:
            if path.suffix == ".csv":
                texts += [row["text"] for row in csv.DictReader(file) if "text" in row]
            elif path.suffix == ".jsonl":
                texts += [json.loads(line)["text"] for line in file if '"text"' in line]
    mixed = np.random.default_rng(0).permutation(list(dict.fromkeys(texts))).tolist()
    cut = len(mixed) // 10
    return {TEST: mixed[:cut], TRAIN: mixed[cut:]}
