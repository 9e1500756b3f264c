"""The norm above which a model's positions are outliers, as a multiple of the median: given, or usual for its kind."""

from __future__ import annotations

from dataclasses import dataclass

from saefari.config import Config, ModelSpec
from saefari.errors import ModelError
from saefari.models.registry import is_causal, read_config

USUAL = 10.0
"""Of causal text models: attention sinks lie 10 to 1,000 times above the median."""


@dataclass(frozen=True)
class PlannedOutliers:
    """norm: a position above this multiple of its layer's median norm is an outlier; None = none is.

    known: false where the model's configuration would have to be fetched first.
    """

    norm: float | None = None
    known: bool = True


def planned_outliers(config: Config, spec: ModelSpec, reach: bool) -> PlannedOutliers:
    """What `settings.outlier_norm` means for a model; reach: its configuration may be fetched from the hub."""
    given = config.settings.outlier_norm
    if given != "auto":
        return PlannedOutliers(given)
    if config.model_type_of(spec) != "llm":
        return PlannedOutliers()
    try:
        causal = is_causal(read_config(spec.name, spec.revision, reach_hub=reach))
    except ModelError:  # said where the model's layers are checked, if anything is to be read
        return PlannedOutliers(known=False)
    return PlannedOutliers(USUAL if causal else None)
