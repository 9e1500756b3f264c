"""Plan the SAEs of conf.yaml: found in a folder or the catalogue, or trained in the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from saefari.config import Config, ModelSpec, SaeTraining
from saefari.errors import ModelError, SaeError
from saefari.saes.catalogue import find_sae
from saefari.saes.local import find_local_sae
from saefari.saes.ref import SaeRef
from saefari.store import Layout

Entry = tuple[str, ModelSpec]
"""Path of an entry of `models` in the file, and the entry."""


@dataclass(frozen=True)
class PlannedSae:
    """One SAE of a model. training: how the run trains it; None = it exists. random: with a random control.

    random_explained: codes of a random control are extracted for the explanations, even if it is not classified.
    place: path of its entry in the configuration.
    """

    ref: SaeRef
    training: SaeTraining | None = None
    random: bool = False
    place: str = ""
    random_explained: bool = False

    @property
    def warning(self) -> str | None:
        """Warning if the hook point is assumed; contains no path of this machine."""
        if not self.ref.hook_is_assumed:
            return None
        return (
            f"the SAE {self.ref.width!r} of layer {self.ref.layer}: its metadata names no hook point, so it reads "
            f"{self.ref.hook}, from layers and settings.sae_location"
        )


class SaePlanner:
    """Finds the SAEs of models.

    slug: returns a model's folder name. problem: called with the path and text of each error.
    """

    def __init__(
        self, config: Config, layout: Layout, slug: Callable[[ModelSpec], str], problem: Callable[[str, str], None]
    ) -> None:
        self._config = config
        self._layout = layout
        self._slug = slug
        self._problem = problem

    def of_model(self, group: list[Entry]) -> tuple[PlannedSae, ...]:
        """Return the SAEs of one model, from all entries that name it."""
        named = self._named(group)
        return (*named, *self._swept(group, named))

    def _named(self, group: list[Entry]) -> list[PlannedSae]:
        """Return the SAEs that a model's entries name in `widths`."""
        planned: list[PlannedSae] = []
        for path, spec in group:
            for sae in self._of_entry(path, spec):
                if any((p.ref.layer, p.ref.width) == (sae.ref.layer, sae.ref.width) for p in planned):
                    self._problem(path, f"layer {sae.ref.layer}, width {sae.ref.width!r} is already listed above")
                elif self._one_hook(f"{path}.widths", sae.ref, planned):
                    planned.append(sae)
        return planned

    def _of_entry(self, path: str, spec: ModelSpec) -> Iterator[PlannedSae]:
        for j, layer in enumerate(spec.layers):
            for k, width in enumerate(spec.widths):
                try:
                    yield PlannedSae(
                        self._sae(spec, layer, width), spec.sae_train, spec.random_sae, f"{path}.widths[{k}]"
                    )
                except (SaeError, ModelError) as error:
                    self._problem(f"{path}.widths[{k}]", f"{width!r} at layers[{j}] = {layer}: {error}")

    def _sae(self, spec: ModelSpec, layer: int, width: str) -> SaeRef:
        if spec.sae_train is not None:
            spec.sae_train.latents(width)  # raises if the number of latents is not clear
            return self._to_train(spec, layer, width)
        if spec.sae_path is not None:
            return find_local_sae(spec.sae_path, layer, width, self._config.settings.sae_location)
        return find_sae(spec.name, layer, width, self._config.settings.sae_location, spec.sae_release)

    def _swept(self, group: list[Entry], named: list[PlannedSae]) -> Iterator[PlannedSae]:
        """Yield every SAE of `sae_training` at every layer that any entry of the model names."""
        specs = [spec for _, spec in group]
        for layer in dict.fromkeys(layer for spec in specs for layer in spec.layers):
            random = any(spec.random_sae for spec in specs if layer in spec.layers)
            for i, name, training in self._config.swept():
                ref = self._to_train(specs[0], layer, name)
                if self._one_hook(f"sae_training[{i}]", ref, named):
                    yield PlannedSae(ref, training, random, f"sae_training[{i}]")

    def _one_hook(self, path: str, ref: SaeRef, others: list[PlannedSae]) -> bool:
        """Check that all SAEs of a layer read the same hook point, as far as known before loading."""
        for other in (sae.ref for sae in others):
            if other.layer == ref.layer and None not in (other.hook, ref.hook) and other.hook != ref.hook:
                self._problem(
                    path,
                    f"at layer {ref.layer}, {ref.width!r} reads {ref.hook}, {other.width!r} reads "
                    f"{other.hook}: use separate runs with separate settings.base_save_dir",
                )
                return False
        return True

    def _to_train(self, spec: ModelSpec, layer: int, name: str) -> SaeRef:
        from saefari.models.hooks import HookPoint

        hook = HookPoint.for_location(layer, self._config.settings.sae_location)
        return SaeRef(layer, name, path=str(self._layout.sae(self._slug(spec), layer, name)), hook=hook.name)
