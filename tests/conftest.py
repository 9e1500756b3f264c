"""Shared by all tests: no hub, and real data where a checkout has it beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Machines are shared and noisy: how long an example takes says nothing.
settings.register_profile("saefari", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("saefari")

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Real datasets (banking77, tweet sentiment …) beside the checkout; skips where there are none."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real datasets are not beside this checkout")
    return folder
