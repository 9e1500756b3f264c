"""Figures of the report on explanations: scores against controls, and scores against firing rate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from saefari.report.explanations.tables import ExplainedSaeRecord
from saefari.report.png import png
from saefari.report.saes.style import hide_frame, set_log_scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_REAL, _SHUFFLED, _RANDOM = "#0072B2", "#E69F00", "#7F7F7F"
_BINS = 30

Panel = tuple[ExplainedSaeRecord, str]
"""An SAE and one of its scorers."""


def draw_explanations(folder: Path, explained: Sequence[ExplainedSaeRecord]) -> list[Path]:
    """Draw explanations_scores.png and explanations_density.png, if anything is scored; return the files.

    Files of an earlier report without content are removed. Raises StoreError if a figure cannot be written.
    """
    panels = [(sae, scorer) for sae in explained for scorer in sae.scorers if len(_values(sae, f"score:{scorer}"))]
    written = []
    for name, draw in (("scores", _draw_scores), ("density", _draw_density)):
        path = folder / f"explanations_{name}.png"
        if panels:
            with png(path) as figure:
                draw(figure, panels)
            written.append(path)
        else:
            path.unlink(missing_ok=True)
    return written


def _values(sae: ExplainedSaeRecord, column: str) -> np.ndarray:
    """Return the finite values of a column, float64 [n]."""
    values = [one.get(column) for one in sae.latents]
    return np.asarray([value for value in values if value is not None], dtype=np.float64)


def _grid(figure: Figure, panels: Sequence[Panel]) -> list[Any]:
    n_columns = min(len(panels), 3)
    n_rows = -(-len(panels) // n_columns)
    figure.set_size_inches(4.2 * n_columns, 3.0 * n_rows)
    axes = [figure.add_subplot(n_rows, n_columns, number) for number in range(1, len(panels) + 1)]
    hide_frame(*axes)
    for axis, (sae, scorer) in zip(axes, panels, strict=True):
        axis.set_title(f"{sae.title}: {scorer}", fontsize=9)
    return axes


def _draw_scores(figure: Figure, panels: Sequence[Panel]) -> None:
    """Draw histograms of the scores and of the shuffled control, and the mean of the random SAE."""
    for axes, (sae, scorer) in zip(_grid(figure, panels), panels, strict=True):
        real, shuffled = _values(sae, f"score:{scorer}"), _values(sae, f"shuffled:{scorer}")
        both = np.concatenate([real, shuffled])
        edges = np.linspace(min(0.0, both.min()), max(1.0, both.max()), _BINS + 1).tolist()
        axes.hist(real, bins=edges, color=_REAL, alpha=0.75, label="explanations")
        if len(shuffled):
            axes.hist(shuffled, bins=edges, color=_SHUFFLED, alpha=0.6, label="shuffled explanations")
        if random := sae.record["scores"][scorer].get("random_sae"):
            axes.axvline(random["mean"], color=_RANDOM, linestyle="--", label="random SAE, mean")
        axes.axvline(
            sae.record["scores"][scorer]["chance"], color="black", linewidth=0.8, linestyle=":", label="chance"
        )
        axes.set(xlabel="score", ylabel="latents")
        axes.legend(fontsize=7, frameon=False)


def _draw_density(figure: Figure, panels: Sequence[Panel]) -> None:
    """Draw the score of each latent against its firing rate."""
    for axes, (sae, scorer) in zip(_grid(figure, panels), panels, strict=True):
        pairs = [(one["density"], one[f"score:{scorer}"]) for one in sae.latents]
        known = np.asarray([(x, y) for x, y in pairs if y is not None and x], dtype=np.float64)
        axes.scatter(known[:, 0], known[:, 1], s=9, alpha=0.6, color=_REAL, linewidth=0)
        axes.set(xlabel="firing rate (share of positions)", ylabel="score")
        set_log_scale(axes, "x")
        rho = sae.record["scores"][scorer].get("firing_rate_spearman")
        if rho is not None:
            axes.text(0.02, 0.04, f"Spearman {rho:.2f}", transform=axes.transAxes, fontsize=8)
