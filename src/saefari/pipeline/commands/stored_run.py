"""Find a feature source of an earlier run from the folder given by a flag."""

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
    """A feature source and its rows.

    layout: its output tree. places: its stored splits relative to the activations, the one with the test rows last.
    features: folder of its codes or hidden states below those; None if it reads none. labels: first columns of the
    summary without `source`. settings: folders of its results; () if the flag gave features or samples.
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
        """Folder of results of its model and dataset split, relative to the classifications."""
        model, _, dataset = self.places[0].partition("/")
        return f"{model if self.features else BASELINES}/{dataset}"

    @property
    def place(self) -> str:
        """Folder of all its settings, relative to the classifications."""
        return f"{self.base}/{self.features or self.source}"

    def inputs(self) -> str:
        """Fingerprint of the stored rows and features, comparable to that in its results."""
        return inputs_fingerprint(self.samples[0], self.samples[1] if len(self.places) > 1 else None, self.features)


def find_run(flag: str, path: str, activations: str | None) -> StoredRun:
    """Return the run that a folder belongs to.

    path: results of a feature source or of one of its settings; or, for a run without results, the folder of its
    codes, hidden states or samples. activations: its activations, if not beside its classifications.
    Raises ConfigError for any other folder, or one that was moved within its tree; StoreError if its activations are
    missing.
    """
    folder = Path(path).resolve()
    if not folder.is_dir():
        raise flag_error(flag, f"{path!r} is not a folder: give the folder of a result")
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
        f"{path!r} has no results: give classifications/<model>/<dataset>/<split>/layer_<L>/<width>, or one setting "
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
            f"{settings[0]} does not record its inputs (it was imported or written by an older version): "
            "run `python run_experiments.py --classify-only` to write it again"
        )
    source: Source = labels["source"]
    places, features = tuple(first["samples"]), first["features"]
    below = PurePosixPath(places[0], features) if features else PurePosixPath(places[0], source)
    if not features:
        below = PurePosixPath(BASELINES, *below.parts[1:])
    parts = (*below.parts, _setting(labels).folder(source))
    if settings[0].parts[-len(parts) :] != parts or any(".." in PurePosixPath(place).parts for place in places):
        raise flag_error(
            flag, f"{settings[0]} was moved: by its record it belongs at <classifications>/{'/'.join(parts)}"
        )
    classifications = settings[0].parents[len(parts) - 1]
    layout = Layout(activations or classifications.parent / "activations", classifications)
    known = _ADDED_LATER | {name: labels[name] for name in (*_LABELS, *_ADDED_LATER, "caution") if name in labels}
    run = StoredRun(layout, source, places, features, known, tuple(settings))
    for samples in run.samples:
        _check_samples(flag, samples)
    return run


def _of_features(flag: str, folder: Path, activations: Path | None) -> StoredRun:
    """Return a run without results from the folder of its codes or hidden states."""
    manifest = Manifest.load(folder)
    samples = folder.parents[1]
    if manifest is None or not (samples / SAMPLES_RECORD).exists():
        raise flag_error(flag, f"{folder} is not the folder of features of a stored split")
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
    """Return split and text_field, from a split's folder name and the settings of its samples."""
    text_field = (settings.get("fields") or {}).get("text_field") or ""
    return {"split": folder.removesuffix(split_folder("", text_field)), "text_field": text_field}


def _setting(record: dict[str, Any]) -> Setting:
    return Setting(record["pooling"], record["top_n"], record["binarize"], record["select_k"])


def _check_samples(flag: str, folder: Path) -> dict[str, Any]:
    record = read_samples_record(folder)
    if record is None:
        raise StoreError(
            f"{folder}: the samples are missing or damaged; give the folder of the activations with "
            f"{flag}-activations, or run the extraction again"
        )
    return record
