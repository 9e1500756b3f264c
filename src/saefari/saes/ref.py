"""Reference to an SAE, before it is loaded."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SaeRef:
    """One SAE, either in sae-lens' catalogue (release and sae_id) or in a local folder (path)."""

    layer: int
    """Block of its hook point, 0-based."""
    width: str
    """Name from the configuration, for example '16k'."""
    release: str | None = None
    sae_id: str | None = None
    path: str | None = None
    """A local SAELens folder."""
    hook: str | None = None
    """Hook point expected before loading, in TransformerLens' spelling."""
    hook_is_assumed: bool = False
    """The SAE's metadata has no hook point; `hook` comes from the configuration."""
    expected_variance_explained: float | None = None
    """From the catalogue; None if it has none (its 1.00 is a placeholder)."""
    expected_l0: float | None = None
    neuronpedia_id: str | None = None

    @property
    def title(self) -> str:
        """Name of the SAE in messages."""
        return f"{self.release}/{self.sae_id}" if self.release else f"the SAE in {self.path!r}"
