"""How the positions of a row are shaded, whether they are patches of an image or tokens of a text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.shared.parts.tokens import shade


@dataclass(frozen=True)
class Shading:
    """values: [n_positions], what each position is shaded by. unit: what they measure.

    pickable: a click on a position sets the page's control `token` to it (assets/dashboard.js). picked: the marked one.
    said: what pointing at position i tells; its value unless given.
    """

    values: np.ndarray
    unit: str = "activation"
    pickable: bool = False
    picked: int | None = None
    said: Callable[[int], str] | None = None

    @property
    def peak(self) -> float:
        """The value of full strength."""
        return float(np.abs(self.values).max(initial=0))

    def value(self, position: int) -> float:
        return float(self.values[position])

    def tip(self, position: int) -> str:
        """What pointing at a position tells."""
        return f"{self.values[position]:.3g}" if self.said is None else self.said(position)

    def style(self, position: int) -> dict[str, str]:
        return shade(self.value(position), self.peak)

    def is_strong(self, position: int) -> bool:
        """Whether the shade is so strong that what stands on it must be dark."""
        return abs(self.value(position)) > self.peak / 2

    def marks(self, position: int) -> dict[str, Any]:
        """Attributes that make a position something to click, and mark the picked one."""
        found: dict[str, Any] = {"data-token": str(position)} if self.pickable else {}
        return found | ({"aria-current": "true"} if position == self.picked else {})
