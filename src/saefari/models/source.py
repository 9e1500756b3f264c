"""Which model a job runs, and how to load it; imports neither torch nor transformers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from saefari.config import ModelType


@dataclass(frozen=True)
class ModelSource:
    """A model by local path or hub id, with the precision and device to load it with; hashable and picklable."""

    model_type: ModelType
    name: str
    revision: str | None = None
    dtype: str = "auto"
    device: str = "auto"

    def on(self, device: str) -> ModelSource:
        """Return the same source for another device."""
        return replace(self, device=device)

    def settings(self) -> dict[str, str]:
        """Return everything about the model that shapes hidden states; see `model_settings`."""
        from saefari.models.identity import model_settings

        return model_settings(self.name, self.revision, self.dtype, self.device)
