"""Choose the norm, as a multiple of the median, above which positions of a model are outliers."""

from __future__ import annotations

from dataclasses import dataclass

from saefari.config import Config, ModelSpec
from saefari.errors import ModelError
from saefari.models.registry import is_causal, read_config

USUAL = 10.0
"""Default for causal text models, whose attention sinks have 10 to 1,000 times the median norm."""


@dataclass(frozen=True)
class PlannedOutliers:
    """Outlier threshold of a model.

    norm: positions above this multiple of their layer's median norm are outliers; None = there are none.
    known: false if the model's configuration would have to be fetched first.
    """

    norm: float | None = None
    known: bool = True


def planned_outliers(config: Config, spec: ModelSpec, reach: bool) -> PlannedOutliers:
    """Apply `settings.outlier_norm` to a model; reach: its configuration may be fetched from the hub."""
    given = config.settings.outlier_norm
    if given != "auto":
        return PlannedOutliers(given)
    if config.model_type_of(spec) != "llm":
        return PlannedOutliers()
    try:
        causal = is_causal(read_config(spec.name, spec.revision, reach_hub=reach))
    except ModelError:  # the check of the model's layers reports it, if the model is needed
        return PlannedOutliers(known=False)
    return PlannedOutliers(USUAL if causal else None)
