"""conf.yaml as strict, typed, immutable models."""

from saefari.config.dataset import DatasetSpec
from saefari.config.load import load_config, parse_config
from saefari.config.positions import ModelType, Positions
from saefari.config.schema import ClassificationParams, Config, ModelSpec, Settings
from saefari.config.section import width_to_d_sae
from saefari.config.training import Corpus, Resampling, SaeSweep, SaeTraining, Stream

__all__ = [
    "ClassificationParams",
    "Config",
    "Corpus",
    "DatasetSpec",
    "ModelSpec",
    "ModelType",
    "Positions",
    "Resampling",
    "SaeSweep",
    "SaeTraining",
    "Settings",
    "Stream",
    "load_config",
    "parse_config",
    "width_to_d_sae",
]
