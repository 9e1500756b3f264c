"""SAEs to train: the sections `models[].sae_train` (one SAE) and `sae_training[]` (a sweep)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Annotated, Any, Literal, TypeVar, Union

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from saefari.config.dataset import DatasetSpec
from saefari.config.section import Optional, Place, SaeName, Section, Text, validation_error, width_to_d_sae
from saefari.errors import SaeError, shown

Architecture = Literal["standard", "gated", "topk", "batchtopk", "matryoshka_batchtopk", "jumprelu"]
Normalization = Literal["none", "expected_average_only_in", "constant_norm_rescale", "layer_norm"]

T = TypeVar("T")


def _distinct(values: list[T]) -> list[T]:
    if len(set(values)) != len(values):
        raise ValueError("contains a value twice")
    return values


_Many = Annotated[list[T], Field(min_length=1), AfterValidator(_distinct), Tag("[list]")]
_Swept = Annotated[
    Union[Annotated[T, Tag("[one]")], _Many[T]],  # noqa: UP007  `|` takes no generic alias in Python 3.10
    Discriminator(lambda value: "[list]" if isinstance(value, list) else "[one]"),
]
"""One value, or a list of them to try."""

Latents = Annotated[int, Field(ge=2)]
Active = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Coefficient = Annotated[float, Field(ge=0, allow_inf_nan=False)]
TargetL0 = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Resampling(Section):
    """When dead latents are reset to poorly reconstructed inputs, in shares of the training."""

    every: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    """Interval between two resamplings. A latent that was inactive for half of it is dead."""
    until: Annotated[float, Field(gt=0, le=0.8)] = 0.6
    """No resampling after this, so that the last resampled latents are still trained."""

    @model_validator(mode="after")
    def _check_interval(self) -> Resampling:
        if self.every > self.until:
            raise ValueError(f"nothing would be resampled: every = {self.every} is greater than until = {self.until}")
        return self


class Corpus(Section):
    """Texts to train SAEs on, other than the training rows of the datasets."""

    name: Text
    """A local file or folder, an embedded dataset or a hub id, as for `datasets`."""
    config_name: Optional = None
    """Configuration of a hub dataset, or sub-folder of a local one."""
    split: Text = "train"
    """The split to read."""
    revision: Optional = None
    """Branch, tag or commit of a hub dataset."""
    text_field: Text = "text"
    """Column of the texts."""
    context_size: Annotated[int, Field(ge=8)] = 128
    """Tokens per context, including special tokens."""
    packed: bool = True
    """`true`: texts are concatenated until a context is full; `false`: one text per context, truncated."""

    @property
    def dataset(self) -> DatasetSpec:
        """The corpus as a dataset without labels."""
        return DatasetSpec(**self.model_dump(include=set(DatasetSpec.model_fields)), label_field=None)


Stream = tuple[Corpus | None, int, int, int]
"""Corpus, n_positions, batch_size and buffer_size. SAEs of a model that share them are trained on the same batches."""

_OPTIONS_OF: dict[str, tuple[Architecture, ...]] = {
    "k": ("topk", "batchtopk", "matryoshka_batchtopk"),
    "matryoshka_widths": ("matryoshka_batchtopk",),
    "l1_coefficient": ("standard", "gated"),
    "resample": ("standard",),
    "l0_coefficient": ("jumprelu",),
    "target_l0": ("jumprelu",),
}
"""Options that only some architectures have; all other options apply to every architecture."""


class _Options(Section):
    """Options that an SAE and a sweep of SAEs share."""

    architecture: Architecture = "batchtopk"
    """Architecture of the SAE; its trainer is sae-lens'."""
    matryoshka_widths: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    """Latents of the nested SAEs, ascending (`matryoshka_batchtopk`). `null`: an eighth, a quarter and half of
    `d_sae`."""
    n_positions: Annotated[int, Field(ge=1)] = 1_000_000
    """Positions to train on. The training rows, or the corpus, are repeated as needed."""
    batch_size: Annotated[int, Field(ge=1)] = 1024
    """Positions per training step."""
    resample: Resampling | None = None
    """Reset dead latents to poorly reconstructed inputs (`standard`). `null`: dead latents stay dead."""
    buffer_size: Annotated[int, Field(ge=1)] = 65_536
    """Positions in the shuffle buffer. A value that you set may not exceed the data; the default shrinks to them."""
    normalize_activations: Normalization = "expected_average_only_in"
    """`expected_average_only_in`: one scale for all inputs, folded into the weights. `constant_norm_rescale`,
    `layer_norm`: per position, applied wherever the SAE runs. `none`: no normalisation."""
    corpus: Corpus | None = None
    """Texts to train on. `null`: the training rows of the run's datasets, one text per context."""

    @model_validator(mode="after")
    def _check_options(self) -> _Options:
        """Raise if an option is given that the architecture does not have."""
        for option, architectures in _OPTIONS_OF.items():
            given = option in self.model_fields_set and getattr(self, option) is not None
            if given and self.architecture not in architectures:
                raise ValueError(
                    f"{option} is an option of {' and '.join(architectures)}, not of {self.architecture}: remove it"
                )
        return self

    @model_validator(mode="after")
    def _check_widths(self) -> _Options:
        widths = self.matryoshka_widths or ()
        if list(widths) != sorted(set(widths)):
            raise ValueError(f"matryoshka_widths must be in ascending order: {shown(list(widths))}")
        return self


class SaeTraining(_Options):
    """Options of the SAEs that `widths` names, each a single value."""

    d_sae: Latents | None = None
    """Number of latents. `null`: what the width names (`3k` = 3,072)."""
    k: Active = 32
    """Active latents per position (`topk`, `batchtopk`, `matryoshka_batchtopk`)."""
    l1_coefficient: Coefficient = 1.0
    """Weight of the sparsity penalty (`standard`, `gated`)."""
    l0_coefficient: Coefficient = 1.0
    """Weight of the sparsity penalty (`jumprelu`). With `target_l0` the penalty is the relative distance from it, in
    units of the input's variance."""
    target_l0: TargetL0 | None = None
    """Mean number of active latents to reach (`jumprelu`). `null`: `l0_coefficient` alone determines it."""
    lr: Rate = 3e-3
    """Learning rate. It falls to zero over the last fifth of the steps."""

    @property
    def stream(self) -> Stream:
        """The options that determine the batches of the training."""
        return self.corpus, self.n_positions, self.batch_size, self.buffer_size

    def latents(self, width: str) -> int:
        """Return the number of latents of the SAE called `width`: `d_sae`, or the number that the width names.

        Raises SaeError if neither gives one, or if it is less than `k`, `target_l0` or `matryoshka_widths`.
        """
        d_sae = self.d_sae or width_to_d_sae(width)
        if d_sae is None:
            raise SaeError(f"width {shown(width)} is not a number of latents: write it as '3k', or set sae_train.d_sae")
        for option, value in self.options_above(d_sae).items():
            raise SaeError(f"sae_train.{option} = {value:g} is more than the {d_sae} latents of width {shown(width)}")
        return d_sae

    def options_above(self, d_sae: int) -> dict[str, float]:
        """Return the options whose value exceeds `d_sae`, with their values."""
        limited = {
            "k": self.k if self.architecture in _OPTIONS_OF["k"] else 0,
            "target_l0": self.target_l0 or 0,
            "matryoshka_widths": max(self.matryoshka_widths or [0]),
        }
        return {option: value for option, value in limited.items() if value > d_sae}

    def nested_widths(self, d_sae: int) -> list[int]:
        """Return the latents of each nested SAE, ascending to `d_sae`; by default doubling from an eighth of it.

        Bussmann et al., "Learning Multi-Level Features with Matryoshka Sparse Autoencoders" (2025).
        """
        given = self.matryoshka_widths or [d_sae // 8, d_sae // 4, d_sae // 2]
        return [*(width for width in given if 0 < width < d_sae), d_sae]


_NAME_PARTS = {
    "d_sae": "d",
    "k": "k",
    "l1_coefficient": "l1_",
    "l0_coefficient": "l0c_",
    "target_l0": "l0_",
    "lr": "lr",
}
"""Options that may be swept -> prefix of their value in the name of an SAE."""


class SaeSweep(_Options):
    """SAEs to train for every layer of every model. `sae_training` is a list of these.

    `d_sae`, `k`, `l1_coefficient`, `l0_coefficient`, `target_l0` and `lr` may be lists: one SAE is trained for each
    combination.
    """

    name: SaeName | None = None
    """Prefix of the names of the SAEs; each list adds a part, as in `batchtopk-d2048-k16` or `jumprelu-l0_16-lr0.001`
    (`-l1_` and `-l0c_` for the coefficients). `null`: the architecture."""
    d_sae: _Swept[Latents]
    """Number of latents."""
    k: _Swept[Active] | None = None
    """Active latents per position (`topk`, `batchtopk`, `matryoshka_batchtopk`). `null`: 32."""
    l1_coefficient: _Swept[Coefficient] | None = None
    """Weight of the sparsity penalty (`standard`, `gated`). `null`: 1."""
    l0_coefficient: _Swept[Coefficient] | None = None
    """Weight of the sparsity penalty (`jumprelu`). With `target_l0` the penalty is the relative distance from it, in
    units of the input's variance. `null`: 1."""
    target_l0: _Swept[TargetL0] | None = None
    """Mean number of active latents to reach (`jumprelu`). `null`: `l0_coefficient` alone determines it."""
    lr: _Swept[Rate] | None = None
    """Learning rate. It falls to zero over the last fifth of the steps. `null`: 0.003."""

    def saes(self) -> list[tuple[str, SaeTraining]]:
        """Return (name, options) of every SAE."""
        return [(name, training) for name, training, _ in self._combinations()]

    @model_validator(mode="after")
    def _check_latents(self) -> SaeSweep:
        """Raise if a value exceeds the number of latents of an SAE of the sweep."""
        found = {}
        for _, training, places in self._combinations():
            d_sae = training.d_sae or 0
            for option, value in training.options_above(d_sae).items():
                place = places.get(option, (option,))
                found[place] = (place, value, f"is more than the {d_sae} latents of {_path(places['d_sae'])}")
        if found:
            raise validation_error(list(found.values()))
        return self

    @model_validator(mode="after")
    def _check_names(self) -> SaeSweep:
        """Raise if two SAEs would have the same name because their values are too close."""
        names = [name for name, _ in self.saes()]
        duplicate = next((name for name in names if names.count(name) > 1), None)
        if duplicate is not None:
            raise ValueError(
                f"several SAEs of the sweep would have the name {shown(duplicate)}: their values are too close"
            )
        return self

    def _combinations(self) -> Iterator[tuple[str, SaeTraining, dict[str, Place]]]:
        """Yield (name, options, place of each value in the section) of every SAE."""
        common = {key: getattr(self, key) for key in _Options.model_fields if key in self.model_fields_set}
        given = {option: getattr(self, option) for option in _NAME_PARTS if getattr(self, option) is not None}
        for choice in product(*(_choices(option, value) for option, value in given.items())):
            values = {option: value for option, (_, value) in zip(given, choice, strict=True)}
            places = {option: place for option, (place, _) in zip(given, choice, strict=True)}
            parts = [
                f"-{_NAME_PARTS[option]}{_shown(value)}" for option, value in values.items() if len(places[option]) > 1
            ]
            yield (self.name or self.architecture) + "".join(parts), SaeTraining(**common, **values), places


def _choices(option: str, value: Any) -> list[tuple[Place, Any]]:
    """Return (place, value) of each value of an option."""
    if isinstance(value, list):
        return [((option, i), one) for i, one in enumerate(value)]
    return [((option,), value)]


def _shown(value: float) -> str:
    """Format a number as part of a folder name."""
    return str(value) if isinstance(value, int) else f"{value:g}".replace("+", "")


def _path(place: Place) -> str:
    """Format a place as in the file: k[1]."""
    return "".join(f"[{part}]" if isinstance(part, int) else str(part) for part in place)
