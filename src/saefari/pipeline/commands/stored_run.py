"""One feature source of a finished run, found from a folder that a flag names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from saefari.classify.settings import Setting, Source
from saefari.errors import StoreError
from saefari.names import BASELINES, HIDDEN
from saefari.pipeline.commands.flags import flag_error
from saefari.pipeline.execute.classify_jobs import inputs_fingerprint
from saefari.store import Layout, Manifest, read_result, read_samples_record
from saefari.store.layout import MANIFEST, RESULTS, SAMPLES_RECORD, split_folder

_TRANSFER = "transfer"
_LABELS = ("model", "model_type", "dataset", "config", "split", "layer", "width")
_ADDED_LATER = {"text_field": ""}
"""Labels that older results lack."""
_REQUIRED = {*_LABELS, "source", "pooling", "top_n", "binarize", "select_k"}


@dataclass(frozen=True)
class StoredRun:
    """A feature source with the rows it belongs to.

    layout: the output tree that it lies in. places: its stored splits below the activations, the one with the test
    rows last. features: the folder of its codes or hidden states below those; None where none are read.
    labels: the summary's first columns but for `source`. settings: folders of its results; none where it is named by
    its features.
    """

    layout: Layout
    source: Source
    places: tuple[str, ...]
    features: str | None
    labels: dict[str, Any]
    settings: tuple[Path, ...] = ()

    @property
    def samples(self) -> list[Path]:
        return [self.layout.activations / place for place in self.places]

    @property
    def base(self) -> str:
        """Where results on its dataset split lie, below the classifications."""
        model, _, dataset = self.places[0].partition("/")
        return f"{model if self.features else BASELINES}/{dataset}"

    @property
    def place(self) -> str:
        """The folder of all its settings, below the classifications."""
        return f"{self.base}/{self.features or self.source}"

    def inputs(self) -> str:
        """Fingerprint of what the source holds now, as its results record it."""
        return inputs_fingerprint(self.samples[0], self.samples[1] if len(self.places) > 1 else None, self.features)


def find_run(flag: str, given: str, activations: str | None) -> StoredRun:
    """The run that a folder belongs to.

    given: the results of a feature source, or of one of its settings; or, of a run that is only extracted, the folder
    of its codes, hidden states or samples. activations: where its activations lie, if not beside its classifications.
    Raises ConfigError for a folder that is none of these or does not lie where its record says, StoreError where its
    activations are not there.
    """
    folder = Path(given).resolve()
    if not folder.is_dir():
        raise flag_error(flag, f"{given!r} is no folder: give the folder of a result")
    root = None if activations is None else Path(activations).resolve()
    settings = [folder] if (folder / RESULTS).exists() else sorted(path.parent for path in folder.glob(f"*/{RESULTS}"))
    if settings:
        return _of_results(flag, settings, root)
    if (folder / MANIFEST).exists():
        return _of_features(flag, folder, root)
    if (folder / SAMPLES_RECORD).exists():
        return _of_samples(flag, folder, None, root)
    raise flag_error(
        flag,
        f"{given!r} holds no results: give classifications/<model>/<dataset>/<split>/layer_<L>/<width>, or one setting "
        "below it (classifications/baselines/<dataset>/<split>/tfidf for texts)",
    )


def _of_results(flag: str, settings: list[Path], activations: Path | None) -> StoredRun:
    first = read_result(settings[0])
    labels = first.get("settings", {})
    if _TRANSFER in first:
        origin = first[_TRANSFER]["trained_on"]
        raise flag_error(flag, f"{settings[0]} is itself a transfer; its classifiers were trained by {origin}")
    if "features" not in first or not first.get("samples") or not set(labels) >= _REQUIRED:
        raise StoreError(
            f"{settings[0]} does not say what it was made from (an older version wrote it, or it was imported): "
            "`python run_experiments.py --classify-only` makes it again"
        )
    source: Source = labels["source"]
    places, features = tuple(first["samples"]), first["features"]
    below = PurePosixPath(places[0], features) if features else PurePosixPath(places[0], source)
    if not features:
        below = PurePosixPath(BASELINES, *below.parts[1:])
    parts = (*below.parts, _setting(labels).folder(source))
    if settings[0].parts[-len(parts) :] != parts or any(".." in PurePosixPath(place).parts for place in places):
        raise flag_error(
            flag, f"{settings[0]} does not lie where its record says, which is <classifications>/{'/'.join(parts)}"
        )
    classifications = settings[0].parents[len(parts) - 1]
    layout = Layout(activations or classifications.parent / "activations", classifications)
    known = _ADDED_LATER | {name: labels[name] for name in (*_LABELS, *_ADDED_LATER, "caution") if name in labels}
    run = StoredRun(layout, source, places, features, known, tuple(settings))
    for samples in run.samples:
        _check_samples(flag, samples)
    return run


def _of_features(flag: str, folder: Path, activations: Path | None) -> StoredRun:
    """A run that was only extracted, named by its codes or hidden states."""
    manifest = Manifest.load(folder)
    samples = folder.parents[1]
    if manifest is None or not (samples / SAMPLES_RECORD).exists():
        raise flag_error(flag, f"{folder} are no features of a stored split")
    return _of_samples(flag, samples, folder, activations)


def _of_samples(flag: str, samples: Path, features: Path | None, activations: Path | None) -> StoredRun:
    record = _check_samples(flag, samples)
    depth = 4 if samples.parts[-3] == record["settings"].get("dataset") else 3
    place = "/".join(samples.parts[-depth:])
    model, dataset, *config, split = samples.parts[-depth:]
    root = samples.parents[depth - 1]
    layout = Layout(activations or root, root.parent / "classifications")
    labels: dict[str, Any] = {
        "model": "",
        "model_type": "",
        "dataset": dataset,
        "config": "".join(config),
        **_split_of(split, record["settings"]),
    }
    if features is None:
        return StoredRun(layout, "tfidf", (place,), None, labels | {"layer": None, "width": None})
    manifest = Manifest.load(features)
    assert manifest is not None
    is_hidden, is_random = manifest.kind == HIDDEN, bool(manifest.facts.get("random"))
    labels |= {
        "model": model,
        "layer": int(features.parent.name.removeprefix("layer_")),
        "width": None if is_hidden else features.name,
    }
    source: Source = "hidden" if is_hidden else "random_sae" if is_random else "sae"
    return StoredRun(layout, source, (place,), f"{features.parent.name}/{features.name}", labels)


def _split_of(folder: str, settings: dict[str, Any]) -> dict[str, str]:
    """A split's name and the column of its texts, from its folder and the settings of its samples."""
    text_field = (settings.get("fields") or {}).get("text_field") or ""
    return {"split": folder.removesuffix(split_folder("", text_field)), "text_field": text_field}


def _setting(record: dict[str, Any]) -> Setting:
    return Setting(record["pooling"], record["top_n"], record["binarize"], record["select_k"])


def _check_samples(flag: str, folder: Path) -> dict[str, Any]:
    record = read_samples_record(folder)
    if record is None:
        raise StoreError(
            f"{folder}: the samples are not there, or damaged; where the activations lie elsewhere, say so with "
            f"{flag}-activations; else run the extraction again"
        )
    return record
