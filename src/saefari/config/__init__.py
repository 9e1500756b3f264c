"""conf.yaml as strict, typed, immutable models."""

from saefari.config.classification import ClassificationParams
from saefari.config.convolution import Convolution, default_convolutions, grid_side
from saefari.config.dataset import DatasetSpec
from saefari.config.explanation import (
    ActivationCorpus,
    Client,
    Explain,
    Prompting,
    RandomLatents,
    Sampling,
    UsedByClassifiers,
)
from saefari.config.load import load_config, parse_config
from saefari.config.model import ModelSpec
from saefari.config.positions import ModelType, Positions
from saefari.config.schema import Config
from saefari.config.section import width_to_d_sae
from saefari.config.settings import Settings
from saefari.config.training import Corpus, Resampling, SaeSweep, SaeTraining, Stream
from saefari.config.vision import VisionTraining

__all__ = [
    "ActivationCorpus",
    "ClassificationParams",
    "Client",
    "Config",
    "Convolution",
    "Corpus",
    "DatasetSpec",
    "Explain",
    "ModelSpec",
    "ModelType",
    "Positions",
    "Prompting",
    "RandomLatents",
    "Resampling",
    "SaeSweep",
    "SaeTraining",
    "Sampling",
    "Settings",
    "Stream",
    "UsedByClassifiers",
    "VisionTraining",
    "default_convolutions",
    "grid_side",
    "load_config",
    "parse_config",
    "width_to_d_sae",
]
