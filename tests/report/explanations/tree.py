"""A constructed tree of explanations, written by the code that writes those of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from saefari.interp.latent_file import Explained, write_latent
from saefari.interp.records import Context, Explanation, Failure, LatentExamples, Score
from saefari.interp.scorers.statistics import mean
from saefari.interp.summary import write_summary
from saefari.store import Layout
from saefari.store.files import read_json

MODEL = "org--small-model"
RANDOM = (0.40, 0.50, 0.60, 0.55)
"""Scores of the random SAE's latents."""


class Judge:
    """A scorer that is only named."""

    chance = 0.5

    def __init__(self, name: str) -> None:
        self.name = name


def examples(
    latent: int, density: float = 0.01, classes: Mapping[str, tuple[int, int]] | None = None
) -> LatentExamples:
    context = Context("news/train", latent, 2, ("a", " b"), np.array([0.0, 1.0], np.float32))
    return LatentExamples(
        latent, (context,), (context,), np.array([1], np.int8), (), (), 30, 12, density, classes or {}
    )


def write_explanations(
    output: Path,
    scores: Mapping[str, Mapping[int, tuple[float, float | None] | None]],
    *,
    model: str = MODEL,
    layer: int = 3,
    width: str = "3k",
    random: Sequence[float] = RANDOM,
    classes: Mapping[str, tuple[int, int]] | None = None,
    failures: Sequence[Failure] = (),
    names: Mapping[int, str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Write one SAE's explanations; return explanations.json. scores: scorer -> latent -> (score, shuffled control).

    None instead of a pair: not scored. The firing rate of latent i is (i + 1) / 1,000.
    """
    folder = Layout.below(output).explanation(model, layer, width)
    means = {name: float(np.mean(random)) for name in scores} if random else {}
    latents = sorted(next(iter(scores.values()), {}))
    for latent in latents:
        pairs = {name: of[latent] for name, of in scores.items()}
        given = {
            name: Score(name, pair[0], (pair[0] - 0.1, pair[0] + 0.05), 5, 6) for name, pair in pairs.items() if pair
        }
        shuffled = {name: pair[1] for name, pair in pairs.items() if pair and pair[1] is not None}
        explanation = Explanation((names or {}).get(latent, f"name {latent}"), f"Sentence {latent}.", "lexical")
        shown = [Explained(explanation, given, shuffled)]
        write_latent(folder, examples(latent, (latent + 1) / 1000, classes), shown, means, {"inputs": "x"})
    control = {name: mean(random).record() for name in scores} if random else {}
    usage = {"usage": None} | more
    return write_summary(
        folder,
        explained=[read_json(folder / f"{latent}.json") for latent in latents],
        scorers=[Judge(name) for name in scores],  # type: ignore[misc]
        random_scores=control,
        too_few=usage.pop("too_few", []),
        failures=[vars(one) for one in failures],
        **usage,
    )
