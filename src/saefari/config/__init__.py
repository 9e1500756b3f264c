"""conf.yaml as strict, typed, immutable models."""

from saefari.config.convolution import Convolution, grid_side, usual_convolutions
from saefari.config.dataset import DatasetSpec
from saefari.config.load import load_config, parse_config
from saefari.config.positions import ModelType, Positions
from saefari.config.schema import ClassificationParams, Config, ModelSpec, Settings
from saefari.config.section import width_to_d_sae
from saefari.config.training import Corpus, Resampling, SaeSweep, SaeTraining, Stream
from saefari.config.vision import VisionTraining

__all__ = [
    "ClassificationParams",
    "Config",
    "Convolution",
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
    "VisionTraining",
    "grid_side",
    "load_config",
    "parse_config",
    "usual_convolutions",
    "width_to_d_sae",
]
