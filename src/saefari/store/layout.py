"""All paths of the output tree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from saefari.names import HIDDEN, folder_name

SAMPLES = "samples.parquet"
SAMPLES_RECORD = "samples.json"
SPLIT = "split.parquet"
SPLIT_RECORD = "split.json"
MANIFEST = "manifest.json"
RESULTS = "results.json"
FIGURES = "figures.json"
PREDICTIONS = "predictions.parquet"
SAE_QUALITY = "quality.json"
SAE_DENSITY = "density.npz"
TRAINING_RECORD = "training.json"
TRAINING_ROWS = "rows.parquet"


def hidden_folder(samples: Path, layer: int) -> Path:
    """Folder of the hidden states of one layer, below their samples."""
    return samples / f"layer_{layer}" / HIDDEN


def norm_file(samples: Path, layer: int) -> Path:
    """File with the median norm of one layer's hidden states, below the samples of the training split."""
    return samples / f"layer_{layer}" / "norm.json"


def codes_folder(samples: Path, layer: int, width: str) -> Path:
    """Folder of the codes of one SAE, below their samples."""
    return samples / f"layer_{layer}" / width


def split_folder(split: str, text_field: str = "") -> str:
    """Folder name of a split. text_field: set only if the tree holds the split once per text column."""
    return f"{split}--{folder_name([text_field], 'text')}" if text_field else split


@dataclass(frozen=True)
class Layout:
    """Paths of an output tree.

    activations: settings.base_save_dir; its parent also holds trained models, SAEs and reports.
    classifications: settings.base_classify_dir.
    """

    activations: Path
    classifications: Path

    @classmethod
    def below(cls, output: Path) -> Layout:
        """Return the default layout below one folder."""
        return cls(output / "activations", output / "classifications")

    @property
    def explanations(self) -> Path:
        return self.activations.parent / "explanations"

    @property
    def answers(self) -> Path:
        """Cached answers of the language model that explains latents."""
        return self.explanations / ".answers"

    def explanation(self, model: str, layer: int, sae: str) -> Path:
        """Folder of the explanations of one SAE's latents."""
        return self.explanations / model / f"layer_{layer}" / sae

    @property
    def saes(self) -> Path:
        return self.activations.parent / "saes"

    @property
    def models(self) -> Path:
        return self.activations.parent / "models"

    @property
    def reports(self) -> Path:
        return self.activations.parent / "reports"

    @property
    def images(self) -> Path:
        """Reports of what latents respond to in images."""
        return self.reports / "images"

    @property
    def last_run(self) -> Path:
        """Failures and warnings of the last run."""
        return self.reports / "last_run.json"

    @property
    def training_log(self) -> Path:
        """TensorBoard or Weights & Biases logs of SAE training."""
        return self.reports / "training"

    @property
    def summary(self) -> Path:
        return self.classifications / "summary.csv"

    def samples(self, model: str, dataset: str, config: str | None, split: str) -> Path:
        """Folder of one dataset split as read by one model; the arguments are folder names."""
        return self.activations / model / _dataset(dataset, config, split)

    def model(self, name: str) -> Path:
        """Folder of a model trained in a run."""
        return self.models / name

    def model_checkpoint(self, name: str) -> Path:
        """Folder of the checkpoint and the decoded images of a model in training."""
        return self.models / f".training-{name}"

    def image_report(self, model: str, dataset: str, config: str | None, split: str, *features: str) -> Path:
        """Folder of the image report of one SAE on one dataset split."""
        return (self.images / model / _dataset(dataset, config, split)).joinpath(*features)

    def sae(self, model: str, layer: int, name: str) -> Path:
        """Folder of an SAE trained in a run."""
        return self.saes / model / f"layer_{layer}" / name

    def sae_checkpoint(self, model: str, saes: str) -> Path:
        """Folder of the checkpoint of jointly trained SAEs; saes: a short name of the group."""
        return self.saes / model / f".checkpoint-{saes}"

    def results(self, model: str, dataset: str, config: str | None, split: str, *source: str) -> Path:
        """Folder of one feature source's results, with one subfolder per setting."""
        return (self.classifications / model / _dataset(dataset, config, split)).joinpath(*source)


def _dataset(dataset: str, config: str | None, split: str) -> Path:
    return Path(dataset, *([config] if config else []), split)
