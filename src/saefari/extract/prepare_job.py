"""The job that freezes a dataset split for one model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from saefari.config import DatasetSpec, Settings
from saefari.models.source import ModelSource


@dataclass(frozen=True)
class PrepareJob:
    """One dataset as one model reads it; test_folder: of its own test split, where it has one."""

    title: str
    model: ModelSource
    positions: str
    spec: DatasetSpec
    settings: Settings
    folder: Path
    test_folder: Path | None
    overwrite: bool
    prepend_bos: bool | None = None
    """Where BOS is put or left out otherwise than the tokenizer does it (models.tokenizer.bos_change)."""

    @property
    def splits(self) -> list[tuple[str, Path]]:
        """Each split with the folder of its samples."""
        pairs = ((self.spec.split, self.folder), (self.spec.test_split, self.test_folder))
        return [(split, folder) for split, folder in pairs if split is not None and folder is not None]
