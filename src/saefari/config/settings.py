"""The section `settings`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainValidator, model_validator

from saefari.config.positions import ModelType, Positions
from saefari.config.section import EmptyIsNone, Section, Text

SaeLocation = Literal["res", "mlp", "att"]
TrainingLog = Literal["none", "tensorboard", "wandb"]

_MAX_OUTLIER_NORM = 1e9
"""Far above any norm; its product with a median norm is stored and must be finite."""


def _outlier_norm(value: object) -> object:
    if value is None or value == "auto":
        return value
    if isinstance(value, (int, float)) and 1 < value <= _MAX_OUTLIER_NORM:
        return float(value)
    raise ValueError(f"must be a number above 1 and at most {_MAX_OUTLIER_NORM:,.0f}, auto or null")


class Settings(Section):
    """Settings of the whole run: folders, batches, precision, splits and classification."""

    base_save_dir: Text = "./output/activations"
    """Folder of activations and codes. Trained models, SAEs and reports go to `models`, `saes` and `reports` next to
    it."""
    base_classify_dir: Text = "./output/classifications"
    """Folder of classifiers, results and `summary.csv`."""
    batch_size: Annotated[int, Field(ge=1)] | None = None
    """Upper bound on the sequences per batch. `null`: only `max_tokens_per_batch` limits a batch."""
    model_type: ModelType = "llm"
    """What the models read. `llm`: texts; `vlm`: images, with or without a text; `vit`: images."""
    sae_location: SaeLocation = "res"
    """What the SAE reads. `res`: residual stream; `mlp`: MLP output; `att`: outputs of the attention heads."""
    test_size: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of rows held out for testing, stratified by label, if a dataset has no `test_split`. Rows with equal texts,
    equal pictures or equal `group_field` stay on one side, here and in cross-validation. See
    [Splits](concepts.md#splits)."""
    tree_depth: Annotated[int, Field(ge=1, le=64)] = 5
    """Maximum depth of the decision tree. Cross-validation chooses a depth up to it."""
    act_only: bool = False
    """Store the activations of every position first (float16), train SAEs on them and encode them during
    classification, without running the model again."""
    cuda_visible_devices: Annotated[
        str | None, EmptyIsNone, BeforeValidator(lambda v: str(v) if isinstance(v, int) else v)
    ] = None
    """GPUs to use, for example `"0,1"`. Extraction jobs are distributed over them."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of all random choices."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Precision of the model. `auto`: bfloat16 on a GPU, float32 on a CPU. SAEs always encode in float32."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")] = "auto"
    """`auto`, `cpu`, `mps`, `cuda` or `cuda:N`. `auto`: `cuda` if available, else `cpu`."""
    max_length: Annotated[int, Field(ge=4)] = 512
    """Texts are truncated to this many tokens, including BOS and other special tokens. In a prompt only its text is
    truncated, never the image."""
    max_samples: Annotated[int, Field(ge=2)] | None = None
    """Use a seeded random sample of this many rows of each split. `null`: all rows."""
    max_batches: Annotated[int, Field(ge=1)] | None = None
    """Use at most `max_batches` × `batch_size` rows (the key of the published pipeline)."""
    max_tokens_per_batch: Annotated[int, Field(ge=16)] | None = None
    """Padded tokens, or patches, per batch. `null`: 4,096 on a CPU, 32,768 on a GPU. Halved automatically if GPU memory
    runs out."""
    store_positions: bool = False
    """Store the hidden state of every position (float16) in addition to the codes."""
    include_special_tokens: bool = False
    """Count BOS, CLS and other special tokens as positions. Most SAEs were not trained on them."""
    positions: Positions | None = None
    """Which positions count. `null`: `tokens` for an `llm`, `image` for a `vlm`, `patches` for a `vit`. An `llm` also
    accepts `cls`: only the special token at the start of a text (CLS or BOS). Use it with encoders; the first token of
    a causal model does not depend on the text. For images see [Positions](images.md#which-positions-count)."""
    outlier_norm: Annotated[float | Literal["auto"] | None, PlainValidator(_outlier_norm)] = "auto"
    """A position is an attention sink and [does not count](concepts.md#first-tokens-and-attention-sinks) if the norm of
    its hidden state exceeds this multiple of its layer's median norm; greater than 1. `auto`: 10 for causal text
    models, `null` for encoders and images. `null`: every position counts."""
    on_bad_sample: Literal["error", "skip"] = "error"
    """What happens if an image is missing or cannot be read. `error`: its dataset stops; `skip`: the row is left out,
    counted and listed in `samples.json`."""
    image_workers: Annotated[int, Field(ge=0)] | None = None
    """Processes that read and preprocess images while the model runs. `null`: one per core, at most 8. 0: the main
    process does it."""
    cv_folds: Annotated[int, Field(ge=2, le=20)] = 5
    """Cross-validation folds that choose every hyperparameter, on training rows only."""
    n_bootstrap: Annotated[int, Field(ge=100)] = 1000
    """Bootstrap resamples that estimate the bias of the test macro-F1; its 95% interval is corrected for it."""
    bow_baseline: bool = True
    """Fit the TF-IDF baseline if there are texts. The linear probe reads either words and pairs of words, or these plus
    runs of 3 to 5 characters within words (written `"ing␣"`); cross-validation chooses. Trees read words. Texts without
    spaces between words: runs of 1 to 3 characters."""
    n_jobs: int = -1
    """Processes for classification; -1 = all cores."""
    save_plots: bool = False
    """Write confusion matrix, ROC curve, tree and top features as PNG next to each result."""
    checkpoint_minutes: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 5
    """Minutes between two checkpoints while SAEs or a vision model are trained."""
    training_log: TrainingLog = "none"
    """Where the training curves of SAEs are written in addition to the progress bar: `tensorboard` or `wandb` write to
    `reports/training`."""

    @model_validator(mode="after")
    def _check_n_jobs(self) -> Settings:
        if self.n_jobs == 0 or self.n_jobs < -1:
            raise ValueError("n_jobs must be -1 (all cores) or at least 1")
        return self

    @model_validator(mode="after")
    def _check_special_tokens(self) -> Settings:
        if self.positions == "cls" and self.include_special_tokens:
            raise ValueError(
                "include_special_tokens has no effect with positions: cls (which counts one special token): remove one"
            )
        return self
