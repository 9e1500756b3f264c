"""The protocol of an explainer."""

from __future__ import annotations

from typing import Protocol

from saefari.interp.records import Explanation, LatentExamples


class Explainer(Protocol):
    """Proposes the meaning of a latent."""

    @property
    def name(self) -> str:
        """Name as in conf.yaml."""
        ...

    async def explain(self, examples: LatentExamples) -> Explanation:
        """Return an explanation. Raises ExplanationError if none can be made."""
        ...
