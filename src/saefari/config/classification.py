"""The section `classification_params`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from saefari.config.section import Section, as_list

Pooling = Literal["sum", "mean", "max", "last"]
HiddenPooling = Literal["last", "mean"]
Threshold = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class ClassificationParams(Section):
    """Which settings are classified: one result for each combination of the lists."""

    top_n_values: Annotated[list[Annotated[int, Field(ge=-1)]], Field(min_length=1)] = [0]
    """How positions become one row. 0: pool all latents (`pooling`). n: keep the n largest active latents of each
    position and count them over positions. -1: count every active latent."""
    binarize_values: Annotated[list[Threshold | None], Field(min_length=1)] = [None]
    """Thresholds: a feature becomes 1 if its value is strictly greater, else 0. `null`: values are kept."""
    extra_top_n: Annotated[int, Field(ge=-1)] | None = None
    """One additional setting, with `extra_binarize_value`."""
    extra_binarize_value: Threshold | None = None
    """Threshold of the additional setting."""
    pooling: Annotated[list[Pooling], Field(min_length=1), BeforeValidator(as_list)] = ["sum"]
    """How `top_n` 0 pools latents over positions."""
    hidden_pooling: Annotated[list[HiddenPooling], Field(min_length=1), BeforeValidator(as_list)] = ["last", "mean"]
    """How the hidden-state baseline pools positions."""
    select_k: Annotated[list[Annotated[int, Field(ge=1)] | None], Field(min_length=1), BeforeValidator(as_list)] = [
        None
    ]
    """Keep the k latents with the largest standardised mean difference between classes, selected on training rows.
    `null`: all."""
    class_weight: Literal["balanced"] | None = None
    """`balanced`: weight classes inversely to their frequency."""
