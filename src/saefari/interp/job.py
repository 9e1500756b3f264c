"""The job that explains the latents of one SAE, and its outcome."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from saefari.config import ActivationCorpus, Explain
from saefari.errors import DataError
from saefari.models.source import ModelSource
from saefari.saes.ref import SaeRef

if TYPE_CHECKING:
    from saefari.interp.cache.build import CacheSource
    from saefari.interp.records import Failure


class TooFewExamplesError(DataError):
    """No latent of an SAE has enough examples."""


@dataclass(frozen=True)
class ExplainedSae:
    """One SAE whose latents are explained, or its random control.

    title: name in messages. out: folder of its explanations. codes: what the run stored; () if a corpus is searched.
    neuronpedia_id: where its latents are on Neuronpedia, if known.
    """

    title: str
    out: Path
    codes: tuple[CacheSource, ...]
    ref: SaeRef
    random: bool = False
    neuronpedia_id: str | None = None


def title_of(sae: ExplainedSae) -> str:
    """Return the name of the job of an SAE in messages."""
    return f"explanations of {sae.title}"


@dataclass(frozen=True)
class SearchedCorpus:
    """A corpus to search for contexts.

    folder: of its contexts and codes. saes: all SAEs of the model, encoded together.
    prepend_bos, outlier_norm: as in the extraction.
    """

    texts: ActivationCorpus
    folder: Path
    saes: tuple[SaeRef, ...]
    prepend_bos: bool | None
    outlier_norm: float | None


@dataclass(frozen=True)
class ExplainJob:
    """Explain and score latents of one SAE, and of its random control for comparison. Idempotent.

    latents: those to explain, most important first; None = chosen from the activations (`all` or `random`).
    control: the random control; None = without. model: what the SAE reads; positions: those that the run counts.
    answers: folder of cached answers. max_tokens: padded tokens per batch. corpus: searched in place of stored codes.
    """

    sae: ExplainedSae
    control: ExplainedSae | None
    latents: tuple[int, ...] | None
    explain: Explain
    model: ModelSource
    positions: str
    answers: Path
    seed: int
    max_tokens: int
    corpus: SearchedCorpus | None = None
    overwrite: bool = False

    @property
    def title(self) -> str:
        """Name of the job in messages."""
        return title_of(self.sae)


@dataclass(frozen=True)
class ExplainOutcome:
    """Outcome of a job. n_explained: latents with an explanation. reused: nothing had changed.

    too_few: latents with too few examples. failures: steps that failed. cost: in dollars, None if unknown.
    """

    n_explained: int
    reused: bool
    too_few: int
    failures: tuple[Failure, ...] = ()
    warnings: list[str] = field(default_factory=list)
    cost: float | None = None

    @property
    def failure_text(self) -> str:
        """Summary of the failures in one line."""
        first = self.failures[0]
        steps = "step" if len(self.failures) == 1 else "steps"
        return (
            f"{len(self.failures):,} {steps} failed, the first: latent {first.latent}, {first.step}: {first.reason}; "
            "all are in explanations.json; run the same command again to repeat only these"
        )
