"""A run that trains SAEs, and the flags that name its file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from .tiny import SHORT, Raw, tiny_settings


@pytest.fixture
def raw(tmp_path: Path, save_tiny: Callable[..., Path], write_texts: Callable[..., Any]) -> Raw:
    """A tiny model, a small dataset, and two SAEs to train at two layers."""
    write_texts(tmp_path / "texts.jsonl", 120)
    return {
        "settings": tiny_settings(tmp_path),
        "models": [{"name": str(save_tiny("llama")), "layers": [1, 2]}],
        "sae_training": [{"d_sae": [48, 64], **SHORT}],
        "datasets": [{"name": str(tmp_path / "texts.jsonl"), "text_field": "text"}],
    }


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[Raw], list[str]]:
    """saved(raw): the flags that name a file with this configuration."""

    def save(raw: Raw) -> list[str]:
        (tmp_path / "conf.yaml").write_text(yaml.safe_dump(raw))
        return ["--config", str(tmp_path / "conf.yaml")]

    return save
