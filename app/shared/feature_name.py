"""How a feature is written: a latent by its name and number, a term by itself, others by noun and number."""

from __future__ import annotations

from dataclasses import dataclass

from app.shared.labels import shortened
from saefari.store import Explanation

NOT_SCORED = "not scored"
DOUBTFUL = "not above its controls"
CONTROLS = {"shuffled": "shuffled explanations", "random_sae": "random SAE"}
"""Display names of the controls of a score."""


@dataclass(frozen=True)
class FeatureName:
    """The written name of one feature.

    noun, number: "latent", 1555. own: the feature's own name (a TF-IDF term), "" without one. explanation: of a latent;
    None if it has none. href: its latent's page, "" without one.
    """

    noun: str
    number: int
    own: str = ""
    explanation: Explanation | None = None
    href: str = ""

    @property
    def title(self) -> str:
        """The name that stands in place of the number; `latent 1555` without an explanation."""
        if self.explanation:
            return self.explanation.name
        return self.own or f"{self.noun} {self.number}"

    @property
    def number_beside(self) -> str:
        """The number to write small beside the title; "" if the title holds it or the feature needs none."""
        return str(self.number) if self.explanation else ""

    @property
    def text(self) -> str:
        """Title and number, for figures and lists: `the word array (1555)`."""
        return f"{self.title} ({self.number})" if self.explanation else self.title

    @property
    def listed(self) -> str:
        """Title, number and score, for drop-downs: `the word array (1555, embedding 0.83)`."""
        return f"{self.title} ({self.number}, {self.score})" if self.explanation else self.title

    def short_text(self, letters: int) -> str:
        """`text`, with the title truncated so that all has at most so many letters."""
        number = self.text[len(self.title) :]
        return shortened(self.title, letters - len(number)) + number

    @property
    def sentence(self) -> str:
        """The explanation's sentence; "" without one."""
        return self.explanation.text if self.explanation else ""

    @property
    def is_doubtful(self) -> bool:
        """Whether the explanation scores no better than its controls."""
        return self.explanation is not None and self.explanation.is_below_controls

    @property
    def score(self) -> str:
        """`embedding 0.83`, `embedding 0.51, not above its controls` or `not scored`; "" without an explanation."""
        if self.explanation is None:
            return ""
        if not self.explanation.scores:
            return NOT_SCORED
        return self.explanation.score + (f", {DOUBTFUL}" if self.is_doubtful else "")

    @property
    def controls(self) -> str:
        """Controls of the first score: `controls: shuffled explanations 0.55, random SAE 0.51`; "" without them."""
        scores = list(self.explanation.scores.values()) if self.explanation else []
        values = scores[0].controls if scores else {}
        listed = ", ".join(f"{CONTROLS.get(name, name)} {value:.2f}" for name, value in values.items())
        return f"controls: {listed}" if listed else ""

    @property
    def tip(self) -> str:
        """Tooltip: number, sentence, score and controls; "" without an explanation."""
        if self.explanation is None:
            return ""
        score = "; ".join(filter(None, [self.score, self.controls]))
        return f"{self.noun} {self.number}: {self.sentence}\n{score}"
