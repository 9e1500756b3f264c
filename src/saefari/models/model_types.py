"""Load a model or its image reader by model type."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from saefari.config import ModelType
from saefari.models.forward import Model
from saefari.models.image_input import ImageReader
from saefari.models.source import ModelSource


@dataclass(frozen=True)
class ReaderSpec:
    """Which image reader to load; small and picklable, so that each worker process loads its own."""

    model_type: ModelType
    name: str
    revision: str | None
    positions: str
    max_length: int
    include_special_tokens: bool

    def load(self) -> ImageReader:
        """Load the reader, cached. Raises ModelError if it cannot be found, reached or used safely."""
        folder = Path(self.name).expanduser()
        written = tuple(sorted(file.stat().st_mtime_ns for file in folder.glob("*.json"))) if folder.is_dir() else ()
        return _reader(self, written)


@lru_cache(maxsize=2)
def _reader(spec: ReaderSpec, written: tuple[int, ...]) -> ImageReader:
    """Load a reader. written: file times, so that a retrained model in the same folder is loaded again."""
    if spec.model_type == "vit":
        from saefari.models.vision_model import VisionReader

        return VisionReader.load(spec.name, spec.revision, spec.positions)
    from saefari.models.vision_language_reader import PromptReader

    return PromptReader.load(
        spec.name,
        spec.revision,
        positions=spec.positions,
        max_length=spec.max_length,
        include_special_tokens=spec.include_special_tokens,
    )


def load_model(source: ModelSource) -> Model:
    """Load a model of any type, without its head and with frozen weights. Raises what `TextModel.load` raises."""
    arguments = (source.name, source.revision, source.dtype, source.device)
    if source.model_type == "vit":
        from saefari.models.vision_model import VisionModel

        return VisionModel.load(*arguments)
    if source.model_type == "vlm":
        from saefari.models.vision_language_model import VisionLanguageModel

        return VisionLanguageModel.load(*arguments)
    from saefari.models.text_model import TextModel

    return TextModel.load(*arguments)
