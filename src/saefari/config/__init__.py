"""conf.yaml as strict, typed, immutable models."""

from saefari.config.load import load_config, parse_config
from saefari.config.schema import (
    ClassificationParams,
    Config,
    DatasetSpec,
    ModelSpec,
    Resampling,
    SaeTraining,
    Settings,
)

__all__ = [
    "ClassificationParams",
    "Config",
    "DatasetSpec",
    "ModelSpec",
    "Resampling",
    "SaeTraining",
    "Settings",
    "load_config",
    "parse_config",
]
