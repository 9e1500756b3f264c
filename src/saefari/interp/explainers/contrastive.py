"""An explainer that shows a language model active contexts and similar inactive ones."""

from __future__ import annotations

from dataclasses import dataclass

from saefari.interp.explainers.prompted import PromptedExplainer
from saefari.interp.records import Explanation, LatentExamples, NotPossibleError


@dataclass
class ContrastiveExplainer(PromptedExplainer):
    """As `PromptedExplainer`, with contexts in which the latent is inactive in the same prompt.

    They are `explain_inactive` of the examples: random, or hard ones if `sampling.inactive_kind` says so.
    """

    name: str = "contrastive"

    async def explain(self, examples: LatentExamples) -> Explanation:
        """Return the model's explanation. Raises ExplanationError, also without inactive contexts, or ClientError."""
        if not examples.explain_inactive:
            raise NotPossibleError(f"latent {examples.latent} has no inactive contexts to compare with")
        return await self._ask(examples, examples.explain_inactive)
