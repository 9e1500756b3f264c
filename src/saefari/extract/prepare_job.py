"""The job that prepares a dataset for one model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from saefari.config import DatasetSpec, Settings
from saefari.models.source import ModelSource


@dataclass(frozen=True)
class PrepareJob:
    """One dataset prepared for one model; test_folder: for the dataset's own test split, if it has one."""

    title: str
    model: ModelSource
    positions: str
    spec: DatasetSpec
    settings: Settings
    folder: Path
    test_folder: Path | None
    overwrite: bool
    prepend_bos: bool | None = None
    """Add or remove BOS, where that differs from the tokenizer's behaviour (models.tokenizer.bos_change)."""

    @property
    def splits(self) -> list[tuple[str, Path]]:
        """Splits with the folders of their samples."""
        pairs = ((self.spec.split, self.folder), (self.spec.test_split, self.test_folder))
        return [(split, folder) for split, folder in pairs if split is not None and folder is not None]
