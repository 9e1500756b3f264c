"""Every path of the output tree; the rest of the program asks here."""

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
    """Hidden states of one layer, beside the samples they belong to."""
    return samples / f"layer_{layer}" / HIDDEN


def norm_file(samples: Path, layer: int) -> Path:
    """The median norm of one layer's hidden states, beside the samples of the training split."""
    return samples / f"layer_{layer}" / "norm.json"


def codes_folder(samples: Path, layer: int, width: str) -> Path:
    """Codes of one SAE, beside the samples they belong to."""
    return samples / f"layer_{layer}" / width


def split_folder(split: str, text_field: str = "") -> str:
    """Folder name of a split; text_field: given where the tree holds the split once for each of several columns."""
    return f"{split}--{folder_name([text_field], 'text')}" if text_field else split


@dataclass(frozen=True)
class Layout:
    """The output tree.

    activations: settings.base_save_dir; trained models, SAEs and reports lie beside it.
    classifications: settings.base_classify_dir.
    """

    activations: Path
    classifications: Path

    @classmethod
    def below(cls, output: Path) -> Layout:
        """The tree as the default settings lay it out in one folder."""
        return cls(output / "activations", output / "classifications")

    @property
    def explanations(self) -> Path:
        return self.activations.parent / "explanations"

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
        """What latents see in images."""
        return self.reports / "images"

    @property
    def last_run(self) -> Path:
        """Failures and warnings of the last run."""
        return self.reports / "last_run.json"

    @property
    def training_log(self) -> Path:
        """What TensorBoard or Weights & Biases keeps of the training of SAEs."""
        return self.reports / "training"

    @property
    def summary(self) -> Path:
        return self.classifications / "summary.csv"

    def samples(self, model: str, dataset: str, config: str | None, split: str) -> Path:
        """Folder of one dataset split as one model sees it; the arguments are folder names."""
        return self.activations / model / _dataset(dataset, config, split)

    def model(self, name: str) -> Path:
        """Folder of a model trained in a run."""
        return self.models / name

    def model_checkpoint(self, name: str) -> Path:
        """Folder of the checkpoint, and of the decoded images, of a model that is being trained."""
        return self.models / f".training-{name}"

    def image_report(self, model: str, dataset: str, config: str | None, split: str, *features: str) -> Path:
        """Folder of what one SAE's latents see in the images of one dataset split."""
        return (self.images / model / _dataset(dataset, config, split)).joinpath(*features)

    def sae(self, model: str, layer: int, name: str) -> Path:
        """Folder of an SAE trained in a run."""
        return self.saes / model / f"layer_{layer}" / name

    def sae_checkpoint(self, model: str, saes: str) -> Path:
        """Folder of the checkpoint of SAEs that are trained together; `saes` says which, in a few letters."""
        return self.saes / model / f".checkpoint-{saes}"

    def results(self, model: str, dataset: str, config: str | None, split: str, *source: str) -> Path:
        """Folder of one feature source's results; each setting has a folder below it."""
        return (self.classifications / model / _dataset(dataset, config, split)).joinpath(*source)


def _dataset(dataset: str, config: str | None, split: str) -> Path:
    return Path(dataset, *([config] if config else []), split)
