"""What conf.yaml may say: one model per section, one field per key, unknown keys are mistakes."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from saefari.errors import SaeError
from saefari.names import HIDDEN, RANDOM

ModelType = Literal["llm", "vlm", "vit"]
SaeLocation = Literal["res", "mlp", "att"]
Pooling = Literal["sum", "mean", "max", "last"]
HiddenPooling = Literal["last", "mean"]
Architecture = Literal["standard", "gated", "topk", "batchtopk", "matryoshka_batchtopk", "jumprelu"]

_UNITS = {"": 1, "k": 1024, "m": 1024 * 1024}


def width_to_d_sae(width: str) -> int | None:
    """d_sae that a width names, in binary thousands: '3k' -> 3072, '512' -> 512; None if it names none."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmM]?)", width)
    return round(float(match[1]) * _UNITS[match[2].lower()]) if match else None


def _none_if_empty(value: object) -> object:
    return None if value == "" else value


def _listed(value: object) -> object:
    return value if isinstance(value, (list, tuple)) else [value]


Text = Annotated[str, Field(min_length=1)]
Optional = Annotated[str | None, BeforeValidator(_none_if_empty)]
Threshold = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class Section(BaseModel):
    """A section of conf.yaml: immutable, and an unknown key is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Settings(Section):
    base_save_dir: Text = "./output/activations"
    """Where activations and codes go; trained SAEs go to `saes` beside it."""
    base_classify_dir: Text = "./output/classifications"
    """Where classifiers and their results go."""
    batch_size: Annotated[int, Field(ge=1)] | None = None
    """Upper bound on the sequences in a batch; none = only the token budget counts."""
    model_type: ModelType = "llm"
    sae_location: SaeLocation = "res"
    test_size: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of rows held out, where a dataset has no `test_split`."""
    tree_depth: Annotated[int, Field(ge=1, le=64)] = 5
    act_only: bool = False
    """Store every position's activations and encode at classification."""
    cuda_visible_devices: Annotated[
        str | None, BeforeValidator(lambda v: str(v) if isinstance(v, int) else _none_if_empty(v))
    ] = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Model precision; auto = bfloat16 on a GPU, float32 on a CPU. SAEs always encode in float32."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")] = "auto"
    max_length: Annotated[int, Field(ge=4)] = 512
    """Tokens a text is cut at, special tokens included."""
    max_samples: Annotated[int, Field(ge=2)] | None = None
    """A seeded sample of this many rows of each dataset split."""
    max_batches: Annotated[int, Field(ge=1)] | None = None
    """The published pipeline's spelling: at most max_batches x batch_size rows."""
    max_tokens_per_batch: Annotated[int, Field(ge=16)] | None = None
    """Token budget of a batch; none = 4,096 on a CPU, 32,768 on a GPU."""
    store_positions: bool = False
    """Store every position's hidden state too (float16)."""
    include_special_tokens: bool = False
    """Count BOS, CLS and the like as valid positions."""
    cv_folds: Annotated[int, Field(ge=2, le=20)] = 5
    n_bootstrap: Annotated[int, Field(ge=100)] = 1000
    bow_baseline: bool = True
    """The TF-IDF baseline."""
    n_jobs: int = -1
    """Processes for classification; -1 = all cores."""
    save_plots: bool = False

    @model_validator(mode="after")
    def _n_jobs_counts(self) -> Settings:
        if self.n_jobs == 0 or self.n_jobs < -1:
            raise ValueError("n_jobs must be -1 (all cores) or at least 1")
        return self


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


_OPTIONS_OF: dict[str, tuple[Architecture, ...]] = {
    "k": ("topk", "batchtopk", "matryoshka_batchtopk"),
    "matryoshka_widths": ("matryoshka_batchtopk",),
    "l1_coefficient": ("standard", "gated"),
    "resample": ("standard",),
    "l0_coefficient": ("jumprelu",),
    "target_l0": ("jumprelu",),
}
"""The architectures that an option of `SaeTraining` is for; the other options are for all."""


class SaeTraining(Section):
    """An SAE to train in the run, with sae-lens' trainers."""

    architecture: Architecture = "batchtopk"
    d_sae: Annotated[int, Field(ge=2)] | None = None
    """Latents; none = what the width names ('3k' = 3,072)."""
    k: Annotated[int, Field(ge=1)] = 32
    """Active latents per position (topk, batchtopk, matryoshka_batchtopk)."""
    matryoshka_widths: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    """Latents of the nested SAEs, ascending (matryoshka_batchtopk); none = an eighth, a quarter and half of all."""
    n_positions: Annotated[int, Field(ge=1)] = 1_000_000
    """Positions to train on; the training rows are repeated as needed."""
    batch_size: Annotated[int, Field(ge=1)] = 1024
    """Positions in a training step."""
    lr: Annotated[float, Field(gt=0)] = 3e-3
    l1_coefficient: Annotated[float, Field(ge=0)] = 1.0
    """Sparsity penalty (standard, gated)."""
    resample: Resampling | None = None
    """Start dead latents anew from poorly reconstructed inputs (standard); none = leave them dead."""
    l0_coefficient: Annotated[float, Field(ge=0)] = 1.0
    """Sparsity penalty (jumprelu); with `target_l0`, of its relative distance, in units of the input's variance."""
    target_l0: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Mean number of active latents to reach (jumprelu); none = whatever `l0_coefficient` leads to."""
    buffer_size: Annotated[int, Field(ge=1)] = 65_536
    """Positions that the shuffle buffer mixes."""
    normalize_activations: Literal["none", "expected_average_only_in"] = "expected_average_only_in"

    @model_validator(mode="after")
    def _options_of_the_architecture(self) -> SaeTraining:
        """An option that was given but would do nothing is a mistake."""
        for option, architectures in _OPTIONS_OF.items():
            given = option in self.model_fields_set and getattr(self, option) is not None
            if given and self.architecture not in architectures:
                raise ValueError(
                    f"{option} is for {' and '.join(architectures)}; {self.architecture} has no use for it"
                )
        return self

    @model_validator(mode="after")
    def _widths_ascend(self) -> SaeTraining:
        widths = self.matryoshka_widths or ()
        if list(widths) != sorted(set(widths)):
            raise ValueError(f"matryoshka_widths must ascend: {list(widths)}")
        return self

    def latents(self, width: str) -> int:
        """d_sae of the SAE called `width`: the section's own, or the number that the width names.

        Raises SaeError where neither gives one, or it is too small for `k`, `target_l0` or `matryoshka_widths`.
        """
        d_sae = self.d_sae or width_to_d_sae(width)
        if d_sae is None:
            raise SaeError(f"width {width!r} names no number of latents: write it as '3k', or give sae_train.d_sae")
        limited = {
            "k": self.k if self.architecture in _OPTIONS_OF["k"] else 0,
            "target_l0": self.target_l0 or 0,
            "matryoshka_widths": max(self.matryoshka_widths or [0]),
        }
        for option, value in limited.items():
            if value > d_sae:
                raise SaeError(f"sae_train.{option} = {value:g} is more than the {d_sae} latents of width {width!r}")
        return d_sae

    def nested_widths(self, d_sae: int) -> list[int]:
        """Latents of each nested SAE of a matryoshka SAE, ascending to `d_sae`; by default doubling from an eighth.

        Bussmann et al., "Learning Multi-Level Features with Matryoshka Sparse Autoencoders" (2025).
        """
        given = self.matryoshka_widths or [d_sae // 8, d_sae // 4, d_sae // 2]
        return [*(width for width in given if 0 < width < d_sae), d_sae]


class ModelSpec(Section):
    name: Text
    """A local path, an embedded model or a hub id, tried in that order."""
    layers: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1), BeforeValidator(_listed)]
    widths: Annotated[
        list[Name],
        Field(min_length=1),
        BeforeValidator(lambda v: [str(x) if isinstance(x, int) else x for x in _listed(v)]),
    ]
    model_type: ModelType | None = None
    revision: Optional = None
    sae_release: Optional = None
    sae_path: Optional = None
    """A local SAELens folder; may hold {layer} and {width}."""
    sae_train: SaeTraining | None = None
    random_sae: bool = False
    """Add the same SAE with random weights as a control."""

    @model_validator(mode="after")
    def _one_source(self) -> ModelSpec:
        given = [n for n in ("sae_release", "sae_path", "sae_train") if getattr(self, n) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of sae_release, sae_path, sae_train, not {' and '.join(given)}")
        for what in ("layers", "widths"):
            values = getattr(self, what)
            if len(set(values)) != len(values):
                raise ValueError(f"{what} lists a value twice: {values}")
        if HIDDEN in self.widths or any(width.endswith(RANDOM) for width in self.widths):
            raise ValueError(f"a width may not be called {HIDDEN!r} or end in {RANDOM!r}: the store uses those names")
        return self

    @model_validator(mode="after")
    def _one_sae_each(self) -> ModelSpec:
        """No two widths or layers may mean the same SAE."""
        if self.sae_train is not None and self.sae_train.d_sae is not None and len(self.widths) > 1:
            raise ValueError(
                f"sae_train.d_sae = {self.sae_train.d_sae} would give the widths {self.widths} the same size: "
                "leave it out, or give one width"
            )
        for values, place in ((self.layers, "{layer}"), (self.widths, "{width}")):
            if self.sae_path is not None and len(values) > 1 and place not in self.sae_path:
                raise ValueError(f"sae_path {self.sae_path!r} must hold {place}: it is one folder for {values}")
        return self


class DatasetSpec(Section):
    name: Text
    """A local file or folder (CSV, JSONL, Parquet), an embedded dataset or a hub id, tried in that order."""
    config_name: Optional = None
    split: Text = "train"
    test_split: Optional = None
    """Where the test rows come from; none = a stratified split of `split`."""
    text_field: Optional = None
    label_field: Text = "label"
    image_field: Optional = None
    id_field: Optional = None
    group_field: Optional = None
    """Rows that share this value stay on one side of every split."""
    revision: Optional = None


class ClassificationParams(Section):
    top_n_values: Annotated[list[Annotated[int, Field(ge=-1)]], Field(min_length=1)] = [0]
    """0 = all latents, pooled; n = count of each position's n largest; -1 = count of firings."""
    binarize_values: Annotated[list[Threshold | None], Field(min_length=1)] = [None]
    extra_top_n: Annotated[int, Field(ge=-1)] | None = None
    extra_binarize_value: Threshold | None = None
    pooling: Annotated[list[Pooling], Field(min_length=1), BeforeValidator(_listed)] = ["sum"]
    hidden_pooling: Annotated[list[HiddenPooling], Field(min_length=1), BeforeValidator(_listed)] = ["last", "mean"]
    select_k: Annotated[list[Annotated[int, Field(ge=1)] | None], Field(min_length=1), BeforeValidator(_listed)] = [
        None
    ]
    """Keep the k most class-separating latents; null = all."""
    class_weight: Literal["balanced"] | None = None


class Config(Section):
    """The whole of conf.yaml."""

    settings: Settings = Settings()
    models: Annotated[list[ModelSpec], Field(min_length=1)]
    datasets: Annotated[list[DatasetSpec], Field(min_length=1)]
    classification_params: ClassificationParams = ClassificationParams()

    def model_type_of(self, model: ModelSpec) -> ModelType:
        """The model's own type, or the run's."""
        return model.model_type or self.settings.model_type
