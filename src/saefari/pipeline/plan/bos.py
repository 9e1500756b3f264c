"""Decide whether texts of a model begin with BOS, from `models[].add_bos` or the metadata of its SAEs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from saefari.config import Config, ModelSpec
from saefari.errors import ModelError, SaeError
from saefari.pipeline.plan.saes import Entry, PlannedSae
from saefari.saes.prepend_bos import disagreement, prepends_bos


@dataclass(frozen=True)
class PlannedBos:
    """How a model's texts begin.

    change: add (True) or remove (False) BOS, unlike the tokenizer (models.tokenizer.bos_change); None = as the
    tokenizer does. known: false if the tokenizer or the metadata of an SAE could not be read yet.
    """

    change: bool | None = None
    known: bool = True


@dataclass(frozen=True)
class BosPlanner:
    """Decides on BOS for each model.

    reach: allow access to the hub. problem: called with the path and text of each error. note: called with what cannot
    be decided yet, or differs from the metadata.
    """

    config: Config
    reach: bool
    problem: Callable[[str, str], None]
    note: Callable[[str], None]

    def of_model(self, group: list[Entry], saes: tuple[PlannedSae, ...]) -> PlannedBos:
        """Return the BOS setting of one model. saes: all its SAEs; those trained in the run are ignored.

        Two SAEs with contradicting metadata are an error, unless `add_bos` is set.
        """
        path, spec = group[0]
        path = f"{path}.add_bos"
        if self.config.model_type_of(spec) != "llm":
            if spec.add_bos != "auto":
                self.problem(path, f"{spec.add_bos}: the processor of an image model decides on BOS: remove add_bos")
            return PlannedBos()
        if spec.add_bos != "auto":
            return self._change(path, spec, bool(spec.add_bos))
        try:
            of_saes = {sae.ref: prepends_bos(sae.ref, self.reach) for sae in saes if sae.training is None}
        except SaeError as error:
            self.note(f"{path}: undecided until the SAEs are loaded: {error}")
            return PlannedBos(known=False)
        if message := disagreement(of_saes):
            self.problem(path, f"auto: {message}")
        wanted = next((bos for bos in of_saes.values() if bos is not None), None)
        return PlannedBos() if wanted is None else self._change(path, spec, wanted)

    def _change(self, path: str, spec: ModelSpec, wanted: bool) -> PlannedBos:
        """Return the change to the tokenizer's texts that gives `wanted`."""
        from saefari.models.pretrained import load_tokenizer
        from saefari.models.registry import describe, resolve_model
        from saefari.models.tokenizer import bos_change

        try:
            info = describe(spec.name, spec.revision, reach_hub=self.reach)
            tokenizer = load_tokenizer(info, resolve_model(spec.name, spec.revision)[0])
        except ModelError:  # the check of the model's layers reports it, if the model is needed
            return PlannedBos(known=False)
        if wanted and tokenizer.bos_token_id is None and spec.add_bos == "auto":
            self.note(f"{path}: the SAEs were trained with BOS, but {spec.name!r} has no BOS token: none is added")
            return PlannedBos()
        try:
            return PlannedBos(bos_change(tokenizer, wanted))
        except ModelError as error:
            self.problem(path, f"{spec.add_bos}: {error}: remove it or set it to false")
            return PlannedBos()
