"""The protocol of an explainer."""

from __future__ import annotations

from typing import Protocol

from saefari.interp.records import Explanation, LatentExamples


class Explainer(Protocol):
    """Proposes the meaning of a latent. name: as in conf.yaml."""

    name: str

    async def explain(self, examples: LatentExamples) -> Explanation:
        """Return an explanation. Raises ExplanationError if none can be made."""
        ...
