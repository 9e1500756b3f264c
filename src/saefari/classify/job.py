"""A classify job as data, its outcome, and which of its settings are finished; imports nothing heavy."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from saefari.classify.settings import Setting, Source, settings_of
from saefari.config import ClassificationParams, Settings
from saefari.fingerprint import fingerprint
from saefari.store import finished_result

FORMAT = 4
"""Format of results.json and the files beside it."""


@dataclass(frozen=True, kw_only=True)
class ResultLabels:
    """The first columns of summary.csv; baselines without a model leave model, model_type, layer and width empty."""

    model: str = ""
    model_type: str = ""
    dataset: str
    config: str = ""
    split: str
    text_field: str = ""
    layer: int | None = None
    width: str | None = None


@dataclass(frozen=True)
class JobInputs:
    """What a job reads.

    samples, test_samples: folders of the split, and of `test_split` where the dataset has one.
    places: the same folders relative to the activations' root, '/'-joined; results.json stores these.
    features: folder of codes or hidden states below the samples, such as 'layer_3/3k'; None = no stored features.
    fingerprint: of everything read; a finished setting is reused only if it and the settings are unchanged.
    """

    samples: Path
    test_samples: Path | None
    places: tuple[str, ...]
    features: str | None
    fingerprint: str

    @property
    def sample_folders(self) -> list[Path]:
        return [self.samples] + ([self.test_samples] if self.test_samples else [])

    @property
    def feature_folders(self) -> list[Path]:
        return [folder / (self.features or "") for folder in self.sample_folders]


@dataclass(frozen=True)
class ClassifyJob:
    """One feature source of one dataset; picklable and idempotent.

    inputs: what is read. params, settings: how classifiers are fitted. out: each setting writes a folder below it.
    caution: why the scores say little; "" if nothing is known against them. It is shown beside the scores.
    """

    source: Source
    labels: ResultLabels
    inputs: JobInputs
    params: ClassificationParams
    settings: Settings
    out: Path
    caution: str = ""

    @property
    def locations(self) -> dict[str, Any]:
        """Places of samples and features as results.json stores them, without a root: JSON-able."""
        return {"samples": list(self.inputs.places), "features": self.inputs.features}

    def settings_record(self, setting: Setting) -> dict[str, Any]:
        """Everything that determines a setting's results, JSON-able."""
        return {
            "format": FORMAT,
            **asdict(self.labels),
            "source": self.source,
            **setting.record(),
            "class_weight": self.params.class_weight,
            "seed": self.settings.seed,
            "cv_folds": self.settings.cv_folds,
            "n_bootstrap": self.settings.n_bootstrap,
            "tree_depth": self.settings.tree_depth,
            "inputs": self.inputs.fingerprint,
            **({"caution": self.caution} if self.caution else {}),
        }


@dataclass(frozen=True)
class SettingFailure:
    """A setting without results, and the reason."""

    setting: str
    reason: str


@dataclass
class JobOutcome:
    """What a job did. rows: summary rows, including those of reused settings. reused: number of these settings."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    failures: list[SettingFailure] = field(default_factory=list)
    reused: int = 0


def n_settings(job: ClassifyJob) -> int:
    """Number of settings of a job."""
    return len(settings_of(job.source, job.params))


def stored_outcome(job: ClassifyJob) -> tuple[JobOutcome, list[Setting]]:
    """Return the outcome of the settings that are finished, and the settings still to compute."""
    outcome, pending = JobOutcome(), []
    for setting in settings_of(job.source, job.params):
        record = job.settings_record(setting)
        result = finished_result(job.out / setting.folder(job.source), fingerprint(record))
        if result is None:
            pending.append(setting)
        else:
            outcome.rows += result["summary"]
            outcome.warnings += result["warnings"]
            outcome.reused += 1
    return outcome, pending
