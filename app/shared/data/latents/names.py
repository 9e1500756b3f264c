"""Names of the features of a result, and of the latents of an SAE."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.shared.data.codes import CodeSet
from app.shared.data.file_cache import written_ns
from app.shared.data.one_result import OneResult, codes_of, sae_of
from app.shared.data.saes import Sae
from app.shared.data.selection import SAE
from app.shared.data.tree import Index
from app.shared.feature_name import FeatureName
from app.shared.permalinks import link, neuronpedia_link
from saefari.store import Explanation, read_explanation

if TYPE_CHECKING:
    from saefari.classify.decisions import Contributions


class FeatureNames:
    """Names of features by number.

    noun: for features without a name. sae: of the latents. codes: code set that a latent's page shows first.
    neuronpedia: the SAE's id there, for latents of an SAE that is not in the tree.
    """

    def __init__(
        self, noun: str = "latent", sae: Sae | None = None, codes: CodeSet | None = None, neuronpedia: Any = None
    ) -> None:
        self._noun, self._sae, self._neuronpedia = noun, sae, neuronpedia
        self._codes = codes.id if codes else None
        self._written = 0 if sae is None else written_ns(sae.explanations)

    def of(self, number: int, own: str | None = None) -> FeatureName:
        """Name of one feature. own: its own name, if it has one."""
        if self._sae is None:
            return FeatureName(self._noun, number, own or "", None, neuronpedia_link(self._neuronpedia, number))
        href = link("/latent", sae=self._sae.id, latent=number, codes=self._codes)
        explanation = _explanation(self._sae.explanations, number, self._written) if self._written else None
        return FeatureName(self._noun, number, own or "", explanation, href)

    def of_entry(self, entry: dict[str, Any]) -> FeatureName:
        """Name of the feature of a stored top feature or tree node. Raises KeyError if the entry has none."""
        return self.of(int(entry["feature"]), str(entry["name"]) if entry.get("name") else None)

    def of_contributions(self, found: Contributions) -> list[FeatureName]:
        """Names of the features that contribute to a prediction."""
        own = found.names or [None] * len(found.features)
        return [self.of(int(number), name) for number, name in zip(found.features, own, strict=True)]


def names_of_result(index: Index, result: OneResult) -> FeatureNames:
    """Names of a result's features."""
    sae = sae_of(index, result.row)
    codes = None if sae is None else codes_of(sae, result.row)
    neuronpedia = result.record["settings"].get("neuronpedia") if result.row.source == SAE else None
    return FeatureNames(result.word, sae, codes, neuronpedia)


@lru_cache(maxsize=50_000)
def _explanation(folder: Path, latent: int, written: int) -> Explanation | None:
    """Read an explanation. `written` (modification time of the folder) invalidates the cache when files are added."""
    return read_explanation(folder, latent)
