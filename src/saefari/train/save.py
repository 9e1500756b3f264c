"""Write a trained SAE: SAELens' own format, its quality, and how often each latent is active."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError

from saefari.errors import StoreError
from saefari.saes.load import load_sae
from saefari.saes.ref import SaeRef
from saefari.store.files import explain, read_json, write_json
from saefari.store.layout import SAE_DENSITY, SAE_QUALITY
from saefari.train.quality import evaluate
from saefari.train.trainee import Trainee
