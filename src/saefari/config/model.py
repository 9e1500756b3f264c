"""The section `models`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainValidator, model_validator

from saefari.config.positions import ModelType, Positions
from saefari.config.section import Optional, SaeName, Section, Text, as_list
from saefari.config.training import SaeTraining
from saefari.errors import PATH_LENGTH, shown


def _add_bos(value: object) -> object:
    if isinstance(value, bool) or value == "auto":
        return value
    raise ValueError("must be true, false or auto")


def _numbers_as_text(values: list[object]) -> list[object]:
    """Accept the name of an SAE that YAML reads as a number, as in `widths: [512]`."""
    return [str(value) if isinstance(value, int) else value for value in values]


class ModelSpec(Section):
    """One model, its layers and its SAEs. `models` is a list of these."""

    name: Text
    """A local path, an embedded model or a Hugging Face hub id, tried in that order; or the `name` of
    `vision_training`."""
    layers: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, max_length=1000), BeforeValidator(as_list)]
    """Layer L is the output of block L, counted from 0: Hugging Face's `hidden_states[L + 1]`. Of an encoder-decoder
    model (T5, BART) the encoder is read, and `layers` counts its blocks."""
    widths: Annotated[list[SaeName], BeforeValidator(_numbers_as_text), BeforeValidator(as_list)] = []
    """Names of the SAEs: as in their release (`16k`), or a name for the SAE to train; `3k` = 3,072 latents. May be
    omitted if there is `sae_training`."""
    model_type: ModelType | None = None
    """Overrides `settings.model_type` for this model."""
    positions: Positions | None = None
    """Overrides `settings.positions` for this model."""
    revision: Optional = None
    """Branch, tag or commit of the model on the hub."""
    add_bos: Annotated[bool | Literal["auto"], PlainValidator(_add_bos)] = "auto"
    """`true`: BOS precedes every text; `false`: no text. `auto`: as the SAEs were trained (`prepend_bos` in their
    metadata); if the metadata do not say, or the run trains the SAEs, as the tokenizer does. See
    [First tokens](concepts.md#first-tokens-and-attention-sinks)."""
    sae_release: Optional = None
    """Release in sae-lens' catalogue. `null`: the best-known release for this model, layer, width and
    `sae_location`."""
    sae_path: Optional = None
    """Local SAELens folder used instead of a release; may contain `{layer}` and `{width}`. If its metadata name no hook
    point (`SAE.save_model` writes none by default), the SAE reads `sae_location` of the layer, with a warning."""
    sae_train: SaeTraining | None = None
    """Train the SAEs of `widths` in the run."""
    random_sae: bool = False
    """Add each SAE a second time with random directions and the same sparsity, as a control."""

    @model_validator(mode="after")
    def _check_source(self) -> ModelSpec:
        given = [n for n in ("sae_release", "sae_path", "sae_train") if getattr(self, n) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of sae_release, sae_path, sae_train, not {' and '.join(given)}")
        for key in ("layers", "widths"):
            values = getattr(self, key)
            if len(set(values)) != len(values):
                raise ValueError(f"{key} contains a value twice: {shown(values)}")
        if given and not self.widths:
            raise ValueError(f"{given[0]} gives the source of the SAEs that `widths` names: give widths too")
        return self

    @model_validator(mode="after")
    def _check_saes_differ(self) -> ModelSpec:
        """Raise if two widths or two layers would use the same SAE."""
        if self.sae_train is not None and self.sae_train.d_sae is not None and len(self.widths) > 1:
            raise ValueError(
                f"sae_train.d_sae = {self.sae_train.d_sae} would give the widths {shown(self.widths)} the same size: "
                "remove it, or give one width"
            )
        for values, placeholder in ((self.layers, "{layer}"), (self.widths, "{width}")):
            if self.sae_path is not None and len(values) > 1 and placeholder not in self.sae_path:
                path = shown(self.sae_path, PATH_LENGTH)
                raise ValueError(f"sae_path {path} must contain {placeholder}: it is one folder for {shown(values)}")
        return self
