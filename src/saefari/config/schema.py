"""What conf.yaml may say: one model per section, one field per key, unknown keys are mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainValidator, model_validator

from saefari.config.dataset import DatasetSpec
from saefari.config.positions import POSITIONS_OF, ModelType, Positions
from saefari.config.section import EmptyIsNone, Optional, Place, SaeName, Section, Text, listed, mistakes
from saefari.config.training import SaeSweep, SaeTraining
from saefari.config.vision import VisionTraining
from saefari.errors import PATH_LENGTH, enumerated, nearest, shown

SaeLocation = Literal["res", "mlp", "att"]
TrainingLog = Literal["none", "tensorboard", "wandb"]
Pooling = Literal["sum", "mean", "max", "last"]
HiddenPooling = Literal["last", "mean"]

Threshold = Annotated[float, Field(ge=0, allow_inf_nan=False)]


_MOST_OUTLIER_NORM = 1e9
"""Far above any norm; the product with a median must be finite to be stored."""


def _outlier_norm(value: object) -> object:
    if value is None or value == "auto":
        return value
    if isinstance(value, (int, float)) and 1 < value <= _MOST_OUTLIER_NORM:
        return float(value)
    raise ValueError(f"must be a number above 1 and at most {_MOST_OUTLIER_NORM:,.0f}, auto or null")


def _add_bos(value: object) -> object:
    if isinstance(value, bool) or value == "auto":
        return value
    raise ValueError("must be true, false or auto")


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
        str | None, EmptyIsNone, BeforeValidator(lambda v: str(v) if isinstance(v, int) else v)
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
    positions: Positions | None = None
    """Which positions count (config/positions.py); none = tokens for an llm, image for a vlm, patches for a vit."""
    outlier_norm: Annotated[float | Literal["auto"] | None, PlainValidator(_outlier_norm)] = "auto"
    """A position whose norm is above this multiple of its layer's median counts nowhere; auto = 10 for causal text
    models, else none."""
    on_bad_sample: Literal["error", "skip"] = "error"
    """What an image that cannot be read does: stop its dataset, or be listed and left out."""
    image_workers: Annotated[int, Field(ge=0)] | None = None
    """Processes that read and preprocess images; none = one per core, at most 8; 0 = the main process does it."""
    cv_folds: Annotated[int, Field(ge=2, le=20)] = 5
    n_bootstrap: Annotated[int, Field(ge=100)] = 1000
    bow_baseline: bool = True
    """The TF-IDF baseline."""
    n_jobs: int = -1
    """Processes for classification; -1 = all cores."""
    save_plots: bool = False
    checkpoint_minutes: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 5
    """Time between two checkpoints of the training of SAEs."""
    training_log: TrainingLog = "none"
    """Where the training of SAEs is followed, beside the progress bar."""

    @model_validator(mode="after")
    def _n_jobs_counts(self) -> Settings:
        if self.n_jobs == 0 or self.n_jobs < -1:
            raise ValueError("n_jobs must be -1 (all cores) or at least 1")
        return self

    @model_validator(mode="after")
    def _special_tokens_matter(self) -> Settings:
        if self.positions == "cls" and self.include_special_tokens:
            raise ValueError("include_special_tokens has no use with positions: cls, which counts one special token")
        return self


class ModelSpec(Section):
    name: Text
    """A local path, an embedded model or a hub id, tried in that order."""
    layers: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, max_length=1000), BeforeValidator(listed)]
    widths: Annotated[
        list[SaeName], BeforeValidator(lambda v: [str(x) if isinstance(x, int) else x for x in listed(v)])
    ] = []
    """Names of SAEs that are released, given or trained for this model; none = only those of `sae_training`."""
    model_type: ModelType | None = None
    positions: Positions | None = None
    """For this model, where models of several types share a file."""
    revision: Optional = None
    add_bos: Annotated[bool | Literal["auto"], PlainValidator(_add_bos)] = "auto"
    """Whether BOS begins every text; auto = as the SAEs' metadata say, else as the tokenizer does."""
    sae_release: Optional = None
    sae_path: Optional = None
    """A local SAELens folder; may hold {layer} and {width}."""
    sae_train: SaeTraining | None = None
    random_sae: bool = False
    """Add the same SAE with random weights as a control, for each of the model's SAEs."""

    @model_validator(mode="after")
    def _one_source(self) -> ModelSpec:
        given = [n for n in ("sae_release", "sae_path", "sae_train") if getattr(self, n) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of sae_release, sae_path, sae_train, not {' and '.join(given)}")
        for what in ("layers", "widths"):
            values = getattr(self, what)
            if len(set(values)) != len(values):
                raise ValueError(f"{what} lists a value twice: {shown(values)}")
        if given and not self.widths:
            raise ValueError(f"{given[0]} says where the SAEs of `widths` come from: give widths too")
        return self

    @model_validator(mode="after")
    def _one_sae_each(self) -> ModelSpec:
        """No two widths or layers may mean the same SAE."""
        if self.sae_train is not None and self.sae_train.d_sae is not None and len(self.widths) > 1:
            raise ValueError(
                f"sae_train.d_sae = {self.sae_train.d_sae} would give the widths {shown(self.widths)} the same size: "
                "leave it out, or give one width"
            )
        for values, place in ((self.layers, "{layer}"), (self.widths, "{width}")):
            if self.sae_path is not None and len(values) > 1 and place not in self.sae_path:
                path = shown(self.sae_path, PATH_LENGTH)
                raise ValueError(f"sae_path {path} must hold {place}: it is one folder for {shown(values)}")
        return self


class ClassificationParams(Section):
    top_n_values: Annotated[list[Annotated[int, Field(ge=-1)]], Field(min_length=1)] = [0]
    """0 = all latents, pooled; n = count of each position's n largest; -1 = count of firings."""
    binarize_values: Annotated[list[Threshold | None], Field(min_length=1)] = [None]
    extra_top_n: Annotated[int, Field(ge=-1)] | None = None
    extra_binarize_value: Threshold | None = None
    pooling: Annotated[list[Pooling], Field(min_length=1), BeforeValidator(listed)] = ["sum"]
    hidden_pooling: Annotated[list[HiddenPooling], Field(min_length=1), BeforeValidator(listed)] = ["last", "mean"]
    select_k: Annotated[list[Annotated[int, Field(ge=1)] | None], Field(min_length=1), BeforeValidator(listed)] = [None]
    """Keep the k most class-separating latents; null = all."""
    class_weight: Literal["balanced"] | None = None


class Config(Section):
    """The whole of conf.yaml."""

    settings: Settings = Settings()
    models: Annotated[list[ModelSpec], Field(min_length=1)]
    datasets: list[DatasetSpec] = []
    classification_params: ClassificationParams = ClassificationParams()
    sae_training: list[SaeSweep] = []
    """SAEs to train for every layer of every model."""
    vision_training: VisionTraining | None = None
    """A vision model to train first; an entry of `models` with its name reads it."""

    def model_type_of(self, model: ModelSpec) -> ModelType:
        """The model's own type, or the run's."""
        return model.model_type or self.settings.model_type

    def positions_of(self, model: ModelSpec) -> str:
        """What counts for a model: its own setting, the run's, or what is usual for its type."""
        return model.positions or self.settings.positions or POSITIONS_OF[self.model_type_of(model)][0]

    def is_trained_here(self, model: ModelSpec) -> bool:
        """Whether a model is the one that `vision_training` trains."""
        return self.vision_training is not None and model.name == self.vision_training.name

    def vision_dataset(self) -> DatasetSpec | None:
        """The dataset that `vision_training` trains on; None where there is no such section, or no such dataset."""
        if self.vision_training is None:
            return None
        wanted = self.vision_training.dataset
        return next((dataset for dataset in self.datasets if wanted in (None, dataset.name)), None)

    def swept(self) -> Iterator[tuple[int, str, SaeTraining]]:
        """Entry of `sae_training`, name and training of each of their SAEs."""
        for i, sweep in enumerate(self.sae_training):
            for name, training in sweep.saes():
                yield i, name, training

    @model_validator(mode="after")
    def _sections_agree(self) -> Config:
        found = [*self._names_taken(), *self._what_is_missing(), *self._vision_mistakes()]
        if found:
            raise mistakes(found)
        return self

    def _names_taken(self) -> Iterator[tuple[Place, object, str]]:
        """Two SAEs of a layer may not share a name, which is their folder."""
        taken: dict[str, int] = {}
        for i, name, _ in self.swept():
            if name in taken:
                place = ("sae_training", i)
                yield place, name, f"sae_training[{taken[name]}] has an SAE of that name too: give one of them a `name`"
            taken.setdefault(name, i)
        for m, model in enumerate(self.models):
            for w, width in enumerate(model.widths):
                if width in taken:
                    yield ("models", m, "widths", w), width, f"sae_training[{taken[width]}] trains an SAE of that name"

    def _what_is_missing(self) -> Iterator[tuple[Place, object, str]]:
        """Keys that may be left out, but not in this file."""
        for m, model in enumerate(self.models):
            if not model.widths and not self.sae_training:
                yield ("models", m, "widths"), [], "names no SAE, and there is no sae_training: give either"
        for d, dataset in enumerate(self.datasets):
            if dataset.label_field is None:
                yield ("datasets", d, "label_field"), None, "is what the classifiers predict: name a column"
        if not self.datasets and not self._reads_corpora_only():
            yield ("datasets",), [], "only a file whose every SAE is trained on a corpus of its own needs none"

    def _vision_mistakes(self) -> Iterator[tuple[Place, object, str]]:
        """What `vision_training` needs of the other sections."""
        if self.vision_training is None:
            return
        dataset = self.vision_dataset()
        if dataset is None and self.datasets:
            names = [one.name for one in self.datasets]
            message = (
                f"names none of `datasets`: {enumerated(names)}{nearest(str(self.vision_training.dataset), names)}"
            )
            yield ("vision_training", "dataset"), self.vision_training.dataset, message
        if dataset is not None and dataset.image_field is None:
            place = ("datasets", self.datasets.index(dataset), "image_field")
            yield place, None, "is what vision_training learns from: name a column"
        for m, model in enumerate(self.models):
            if not self.is_trained_here(model):
                continue
            if self.model_type_of(model) != "vit":
                message = "vision_training trains this model: say model_type: vit"
                yield ("models", m, "model_type"), self.model_type_of(model), message
            for key in ("revision", "sae_release"):
                if getattr(model, key) is not None:
                    yield ("models", m, key), getattr(model, key), "has no meaning for a model trained in the run"

    def _reads_corpora_only(self) -> bool:
        sections = [*self.sae_training, *(model.sae_train for model in self.models if model.widths)]
        return all(section is not None and section.corpus is not None for section in sections)
