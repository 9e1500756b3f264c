"""An explainer that looks latents up: in Neuronpedia's exports, MOSAIC's cached explanations, or Neuronpedia's API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from saefari.interp.explainers.neuronpedia_api import NeuronpediaApi
from saefari.interp.explainers.neuronpedia_file import Written
from saefari.interp.explainers.shorten import short_name
from saefari.interp.records import Explanation, LatentExamples, NotPossibleError


@dataclass
class NeuronpediaExplainer:
    """Looks latents up. source: latent -> explanation, from `read_neuronpedia`, or the API of one SAE."""

    source: Mapping[int, Written] | NeuronpediaApi
    name: str = "neuronpedia"

    async def explain(self, examples: LatentExamples) -> Explanation:
        """Return the stored explanation. Raises ExplanationError if there is none or the request failed."""
        if isinstance(self.source, NeuronpediaApi):
            written = await self.source.explanation(examples.latent)
        elif examples.latent in self.source:
            written = self.source[examples.latent]
        else:
            raise NotPossibleError(f"explain.file has no explanation of latent {examples.latent}")
        sentence = written.text if written.text.endswith((".", "!", "?", "。")) else f"{written.text}."
        return Explanation(short_name(written.text), sentence, self.name, model=written.model)
