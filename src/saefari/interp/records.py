"""What explainers and scorers exchange: contexts and examples of a latent, explanations, scores and failures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from saefari.errors import SaefariError


class ExplanationError(SaefariError):
    """An explanation or a score could not be made; it is recorded as a failure.

    raw: the text of the answer that could not be used, if there was one.
    """

    def __init__(self, message: str, raw: str | None = None) -> None:
        super().__init__(message)
        self.raw = raw


class NotScorable(ExplanationError):
    """A latent has no contexts to be scored on, as one that is active in every image; no failure, but no score."""


@dataclass(frozen=True)
class ContextImage:
    """The image of a context.

    png: the picture that the model sees, as PNG or JPEG. grid: (rows, columns) of its patches. patches: int32
    [n_positions], cell of the grid of each position, counted row by row; -1 for positions outside the image.
    """

    png: bytes
    grid: tuple[int, int]
    patches: np.ndarray


@dataclass(frozen=True)
class Context:
    """A window of consecutive positions of one row.

    source: dataset folder (or corpus) that the row belongs to, as in the cache. row: dataset row number. start: first
    position of the window among the row's valid positions. tokens: text of each position; joined, they give the
    window's text (a token includes the white space before it). For images they are names such as "patch row 1, column
    2". activations: float32 [n_positions], 0 where the latent is inactive. label: class of the row, if it has one.
    """

    source: str
    row: int
    start: int
    tokens: tuple[str, ...]
    activations: np.ndarray
    label: str | None = None
    image: ContextImage | None = None

    @property
    def text(self) -> str:
        """Text of the window."""
        return "".join(self.tokens)

    @property
    def peak(self) -> float:
        """Largest activation; 0 for an inactive context."""
        return float(self.activations.max(initial=0))

    @property
    def centre(self) -> int:
        """Index of the first position with the largest activation."""
        return int(self.activations.argmax())


@dataclass(frozen=True)
class LatentExamples:
    """Contexts of one latent. The sets are disjoint: no row is in two of them.

    explain: active contexts for the explainer. explain_inactive: inactive ones for contrastive explainers. test: active
    contexts for scorers; deciles: int8 [n_test], 1 (weakest) to 10, decile of each test context's peak among the
    latent's active rows. inactive: contexts for scorers in which the latent is inactive everywhere.
    n_activations, n_rows: positions and rows in which it is active. density: share of positions.
    class_rows: class -> (rows in which it is active, rows of the class); empty without labels.
    """

    latent: int
    explain: tuple[Context, ...]
    test: tuple[Context, ...]
    deciles: np.ndarray
    inactive: tuple[Context, ...]
    explain_inactive: tuple[Context, ...] = ()
    n_activations: int = 0
    n_rows: int = 0
    density: float = 0.0
    class_rows: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Explanation:
    """Proposed meaning of a latent.

    name: a few words, for tables and figures. sentence: one sentence. explainer: name of the explainer. model: language
    model that wrote it, if any. version: of the prompt or method; a change makes stored explanations outdated.
    """

    name: str
    sentence: str
    explainer: str
    model: str | None = None
    version: int = 1


@dataclass(frozen=True)
class Score:
    """Result of one scorer for one explanation.

    value: the scorer's main figure, see its docstring (for most an AUROC: 0.5 is chance). interval: 95% confidence
    interval of `value`, None if it cannot be computed. n_active, n_inactive: contexts scored. details: further figures,
    JSON-able (accuracy, true positive rate, value per decile …).
    """

    scorer: str
    value: float
    interval: tuple[float, float] | None
    n_active: int
    n_inactive: int
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """A step that failed for one latent. step: "explain prompted", "score detection" …; raw: the answer, if any."""

    latent: int
    step: str
    reason: str
    raw: str | None = None
