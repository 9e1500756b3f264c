"""Whether BOS begins every text of a model: what `models[].add_bos` says, or the metadata of its SAEs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from saefari.config import Config, ModelSpec
from saefari.errors import ModelError, SaeError
from saefari.pipeline.plan.saes import Entry, PlannedSae
from saefari.saes.prepend_bos import disagreement, prepends_bos


@dataclass(frozen=True)
class PlannedBos:
    """change: where BOS is put or left out otherwise than the tokenizer does it (models.tokenizer.bos_change).

    known: false where the tokenizer, or an SAE's metadata, could not be read yet.
    """

    change: bool | None = None
    known: bool = True


@dataclass(frozen=True)
class BosPlanner:
    """Settles BOS for one model after the other.

    reach: what is not on this machine may be fetched from the hub. problem: called with the place and text of each
    mistake. note: called with what cannot be settled yet, or is not as the metadata ask.
    """

    config: Config
    reach: bool
    problem: Callable[[str, str], None]
    note: Callable[[str], None]

    def of_model(self, group: list[Entry], saes: tuple[PlannedSae, ...]) -> PlannedBos:
        """What happens to BOS before the model's texts. saes: all its SAEs; those that the run trains have no say.

        Two SAEs whose metadata disagree are a mistake, unless `add_bos` decides.
        """
        path, spec = group[0]
        path = f"{path}.add_bos"
        if self.config.model_type_of(spec) != "llm":
            if spec.add_bos != "auto":
                self.problem(
                    path, f"{spec.add_bos}: a model that reads images gets what its processor makes: leave it out"
                )
            return PlannedBos()
        if spec.add_bos != "auto":
            return self._change(path, spec, bool(spec.add_bos))
        try:
            said = {sae.ref: prepends_bos(sae.ref, self.reach) for sae in saes if sae.training is None}
        except SaeError as error:
            self.note(f"{path}: not settled before the SAEs are loaded: {error}")
            return PlannedBos(known=False)
        if message := disagreement(said):
            self.problem(path, f"auto: {message}")
        wanted = next((bos for bos in said.values() if bos is not None), None)
        return PlannedBos() if wanted is None else self._change(path, spec, wanted)

    def _change(self, path: str, spec: ModelSpec, wanted: bool) -> PlannedBos:
        """What `wanted` changes in the model's texts."""
        from saefari.models.pretrained import load_tokenizer
        from saefari.models.registry import describe, resolve_model
        from saefari.models.tokenizer import bos_change

        try:
            info = describe(spec.name, spec.revision, reach_hub=self.reach)
            tokenizer = load_tokenizer(info, resolve_model(spec.name, spec.revision)[0])
        except ModelError:  # said where the model's layers are checked, if anything is to be read
            return PlannedBos(known=False)
        if wanted and tokenizer.bos_token_id is None and spec.add_bos == "auto":
            self.note(f"{path}: the SAEs were trained with BOS, but {spec.name!r} has no such token: none is put")
            return PlannedBos()
        try:
            return PlannedBos(bos_change(tokenizer, wanted))
        except ModelError as error:
            self.problem(path, f"{spec.add_bos}: {error}: leave it out, or say false")
            return PlannedBos()
