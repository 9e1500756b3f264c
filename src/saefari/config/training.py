"""SAEs to train: one (`models[].sae_train`) or a sweep of them (`sae_training[]`)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Annotated, Any, Literal, TypeVar, Union

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from saefari.config.dataset import DatasetSpec
from saefari.config.section import Optional, Place, SaeName, Section, Text, mistakes, width_to_d_sae
from saefari.errors import SaeError, shown

Architecture = Literal["standard", "gated", "topk", "batchtopk", "matryoshka_batchtopk", "jumprelu"]
Normalization = Literal["none", "expected_average_only_in", "constant_norm_rescale", "layer_norm"]

T = TypeVar("T")


def _distinct(values: list[T]) -> list[T]:
    if len(set(values)) != len(values):
        raise ValueError("lists a value twice")
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
    """When the dead latents of an SAE are started anew, in shares of its training."""

    every: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    """Time between two resamplings; a latent that was not active for half of it is dead."""
    until: Annotated[float, Field(gt=0, le=0.8)] = 0.6
    """No resampling after this, so that the last ones are learned."""

    @model_validator(mode="after")
    def _once_at_least(self) -> Resampling:
        if self.every > self.until:
            raise ValueError(f"nothing would be resampled: every = {self.every} is later than until = {self.until}")
        return self


class Corpus(Section):
    """Texts to train SAEs on that no classifier reads."""

    name: Text
    """As a dataset's: a local file or folder, an embedded dataset or a hub id."""
    config_name: Optional = None
    split: Text = "train"
    revision: Optional = None
    text_field: Text = "text"
    context_size: Annotated[int, Field(ge=8)] = 128
    """Tokens that the model reads at once, special tokens included."""
    packed: bool = True
    """Texts follow one another until a context is full; false = one text per context, cut at its end."""

    @property
    def dataset(self) -> DatasetSpec:
        """The corpus as a dataset without labels."""
        return DatasetSpec(**self.model_dump(exclude={"context_size", "packed"}), label_field=None)


Stream = tuple[Corpus | None, int, int, int]
"""Corpus, n_positions, batch_size and buffer_size: SAEs of a model that share them see the same batches."""

_OPTIONS_OF: dict[str, tuple[Architecture, ...]] = {
    "k": ("topk", "batchtopk", "matryoshka_batchtopk"),
    "matryoshka_widths": ("matryoshka_batchtopk",),
    "l1_coefficient": ("standard", "gated"),
    "resample": ("standard",),
    "l0_coefficient": ("jumprelu",),
    "target_l0": ("jumprelu",),
}
"""The architectures that an option is for; the other options are for all."""


class _Options(Section):
    """What an SAE to train and a sweep of them have in common."""

    architecture: Architecture = "batchtopk"
    matryoshka_widths: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    """Latents of the nested SAEs, ascending (matryoshka_batchtopk); none = an eighth, a quarter and half of all."""
    n_positions: Annotated[int, Field(ge=1)] = 1_000_000
    """Positions to train on; the training rows, or the corpus, are repeated as needed."""
    batch_size: Annotated[int, Field(ge=1)] = 1024
    """Positions in a training step."""
    resample: Resampling | None = None
    """Start dead latents anew from poorly reconstructed inputs (standard); none = leave them dead."""
    buffer_size: Annotated[int, Field(ge=1)] = 65_536
    """Positions that the shuffle buffer mixes."""
    normalize_activations: Normalization = "expected_average_only_in"
    """One scale for all inputs, folded into the weights; or per position, done wherever the SAE runs."""
    corpus: Corpus | None = None
    """Texts to train on; none = the training rows of the run's datasets, one text at a time."""

    @model_validator(mode="after")
    def _options_of_the_architecture(self) -> _Options:
        """An option that was given but would do nothing is a mistake."""
        for option, architectures in _OPTIONS_OF.items():
            given = option in self.model_fields_set and getattr(self, option) is not None
            if given and self.architecture not in architectures:
                raise ValueError(
                    f"{option} is for {' and '.join(architectures)}; {self.architecture} has no use for it"
                )
        return self

    @model_validator(mode="after")
    def _widths_ascend(self) -> _Options:
        widths = self.matryoshka_widths or ()
        if list(widths) != sorted(set(widths)):
            raise ValueError(f"matryoshka_widths must ascend: {shown(list(widths))}")
        return self


class SaeTraining(_Options):
    """An SAE to train in the run, with sae-lens' trainers."""

    d_sae: Latents | None = None
    """Latents; none = what the width names ('3k' = 3,072)."""
    k: Active = 32
    """Active latents per position (topk, batchtopk, matryoshka_batchtopk)."""
    l1_coefficient: Coefficient = 1.0
    """Sparsity penalty (standard, gated)."""
    l0_coefficient: Coefficient = 1.0
    """Sparsity penalty (jumprelu); with `target_l0`, of its relative distance, in units of the input's variance."""
    target_l0: TargetL0 | None = None
    """Mean number of active latents to reach (jumprelu); none = whatever `l0_coefficient` leads to."""
    lr: Rate = 3e-3

    @property
    def stream(self) -> Stream:
        """What settles the batches that the SAE is trained on."""
        return self.corpus, self.n_positions, self.batch_size, self.buffer_size

    def latents(self, width: str) -> int:
        """d_sae of the SAE called `width`: the section's own, or the number that the width names.

        Raises SaeError where neither gives one, or it is too small for `k`, `target_l0` or `matryoshka_widths`.
        """
        d_sae = self.d_sae or width_to_d_sae(width)
        if d_sae is None:
            raise SaeError(
                f"width {shown(width)} names no number of latents: write it as '3k', or give sae_train.d_sae"
            )
        for option, value in self.more_than(d_sae).items():
            raise SaeError(f"sae_train.{option} = {value:g} is more than the {d_sae} latents of width {shown(width)}")
        return d_sae

    def more_than(self, d_sae: int) -> dict[str, float]:
        """The options, with their values, that ask for more than `d_sae` latents."""
        limited = {
            "k": self.k if self.architecture in _OPTIONS_OF["k"] else 0,
            "target_l0": self.target_l0 or 0,
            "matryoshka_widths": max(self.matryoshka_widths or [0]),
        }
        return {option: value for option, value in limited.items() if value > d_sae}

    def nested_widths(self, d_sae: int) -> list[int]:
        """Latents of each nested SAE of a matryoshka SAE, ascending to `d_sae`; by default doubling from an eighth.

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
"""The options that may be swept, and what stands before their values in the name of an SAE."""


class SaeSweep(_Options):
    """SAEs to train for every layer of every model: one for each combination of the values that are lists."""

    name: SaeName | None = None
    """What the names of its SAEs begin with; none = the architecture."""
    d_sae: _Swept[Latents]
    k: _Swept[Active] | None = None
    l1_coefficient: _Swept[Coefficient] | None = None
    l0_coefficient: _Swept[Coefficient] | None = None
    target_l0: _Swept[TargetL0] | None = None
    lr: _Swept[Rate] | None = None

    def saes(self) -> list[tuple[str, SaeTraining]]:
        """Name and training of every SAE."""
        return [(name, training) for name, training, _ in self._combinations()]

    @model_validator(mode="after")
    def _no_more_than_the_latents(self) -> SaeSweep:
        """No value may ask for more latents than an SAE of the sweep has."""
        found = {}
        for _, training, places in self._combinations():
            d_sae = training.d_sae or 0
            for option, value in training.more_than(d_sae).items():
                place = places.get(option, (option,))
                found[place] = (place, value, f"is more than the {d_sae} latents of {_path(places['d_sae'])}")
        if found:
            raise mistakes(list(found.values()))
        return self

    @model_validator(mode="after")
    def _names_differ(self) -> SaeSweep:
        """Values so close that their SAEs would be called the same are a mistake."""
        names = [name for name, _ in self.saes()]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"several of its SAEs would be called {shown(twice)}: their values are too close")
        return self

    def _combinations(self) -> Iterator[tuple[str, SaeTraining, dict[str, Place]]]:
        """Name and training of every SAE, and the place of each of its values."""
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
    """Place and value of each value of an option."""
    if isinstance(value, list):
        return [((option, i), one) for i, one in enumerate(value)]
    return [((option,), value)]


def _shown(value: float) -> str:
    """A number as part of a folder's name."""
    return str(value) if isinstance(value, int) else f"{value:g}".replace("+", "")


def _path(place: Place) -> str:
    """A place as the file spells it: k[1]."""
    return "".join(f"[{part}]" if isinstance(part, int) else str(part) for part in place)
