"""Shading of a row's positions, for patches of an image and tokens of a text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.shared.parts.tokens import shade


@dataclass(frozen=True)
class Shading:
    """Values and tooltips of positions. values: [n_positions]. unit: what they measure.

    pickable: a click on a position sets the page's control `token` (assets/dashboard.js). picked: the marked position.
    tip_of: tooltip of position i; its value by default.
    """

    values: np.ndarray
    unit: str = "activation"
    pickable: bool = False
    picked: int | None = None
    tip_of: Callable[[int], str] | None = None

    @property
    def peak(self) -> float:
        """The largest absolute value, which gets the full colour."""
        return float(np.abs(self.values).max(initial=0))

    def value(self, position: int) -> float:
        return float(self.values[position])

    def tip(self, position: int) -> str:
        """Tooltip of a position."""
        return f"{self.values[position]:.3g}" if self.tip_of is None else self.tip_of(position)

    def style(self, position: int) -> dict[str, str]:
        return shade(self.value(position), self.peak)

    def is_strong(self, position: int) -> bool:
        """Whether the shade needs dark text."""
        return abs(self.value(position)) > self.peak / 2

    def marks(self, position: int) -> dict[str, Any]:
        """HTML attributes that make a position clickable and mark the picked one."""
        found: dict[str, Any] = {"data-token": str(position)} if self.pickable else {}
        return found | ({"aria-current": "true"} if position == self.picked else {})
