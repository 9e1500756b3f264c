"""A vision model that trains in seconds on a few real digits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saefari.config import DatasetSpec, VisionTraining
from saefari.train.vision.job import VisionJob

TINY = {"name": "tiny", "image_size": 8, "hidden_size": 16, "layers": 1, "heads": 2, "epochs": 2}
"""A vision_training section of conf.yaml."""


@pytest.fixture
def job_of(tmp_path: Path) -> Callable[..., VisionJob]:
    """job_of(**more): a job with the section `TINY`; `more` overrides options of the section or the job."""

    def make(**more: Any) -> VisionJob:
        section = {key: more.pop(key) for key in list(more) if key in VisionTraining.model_fields and key != "dataset"}
        job: dict[str, Any] = {
            "training": VisionTraining(**{**TINY, **section}),
            "dataset": DatasetSpec(name="digits", image_field="image"),
            "test_size": 0.2,
            "max_rows": 300,
            "seed": 0,
            "folder": tmp_path / "models" / "tiny",
            "scratch": tmp_path / "models" / ".training-tiny",
            "checkpoint_minutes": 60,
            "skip_bad": False,
            "workers": 0,
            "device": "cpu",
            "overwrite": False,
        }
        return VisionJob(**{**job, **more})

    return make
