"""The JSON file of one latent: its explanations with scores, the contexts they are based on, and provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from saefari.errors import StoreError
from saefari.interp.records import Context, Explanation, Failure, LatentExamples, Score
from saefari.store import write_json
from saefari.store.files import read_json

FORMAT = 1
_SETS = ("explain", "test", "inactive", "explain_inactive")


@dataclass(frozen=True)
class Explained:
    """An explanation with its scores. shuffled: scorer -> score that another latent's explanation gets."""

    explanation: Explanation
    scores: Mapping[str, Score]
    shuffled: Mapping[str, float] = field(default_factory=dict)

    def record(self, random_sae: Mapping[str, float]) -> dict[str, Any]:
        """Return it as JSON. random_sae: scorer -> mean score of the random SAE's latents."""
        one = self.explanation
        return {
            "name": one.name,
            "explanation": one.sentence,
            "explainer": one.explainer,
            "model": without_folders(one.model),
            "version": one.version,
            "scores": {name: self._score(score, random_sae) for name, score in self.scores.items()},
        }

    def _score(self, score: Score, random_sae: Mapping[str, float]) -> dict[str, Any]:
        controls = {"shuffled": self.shuffled, "random_sae": random_sae}
        return {
            "value": score.value,
            "interval": None if score.interval is None else list(score.interval),
            "n_active": score.n_active,
            "n_inactive": score.n_inactive,
            "controls": {name: {"value": of[score.scorer]} for name, of in controls.items() if score.scorer in of},
            "details": dict(score.details),
        }


def without_folders(value: Any) -> Any:
    """Return a JSON-able value in which only the last part is left of each absolute path."""
    if isinstance(value, dict):
        return {key: without_folders(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_folders(one) for one in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def write_latent(
    folder: Path,
    examples: LatentExamples,
    explained: Sequence[Explained],
    random_sae: Mapping[str, float],
    provenance: Mapping[str, Any],
    failures: Sequence[Failure] = (),
    synthesis: Mapping[str, Any] | None = None,
) -> None:
    """Write a latent's file.

    explained: the shown explanation first, then alternatives; empty if no explainer was asked. provenance: has
    `inputs`. failures: steps that failed. synthesis: figures of the synthesised image, if there is one.
    """
    first, *others = [one.record(random_sae) for one in explained] or [{}]
    record = {
        "format": FORMAT,
        "latent": examples.latent,
        **first,
        "alternatives": others,
        "counts": {
            "activations": examples.n_activations,
            "rows": examples.n_rows,
            "density": examples.density,
            "classes": {name: list(counts) for name, counts in examples.class_rows.items()},
        },
        "contexts": {name: [_place(one) for one in getattr(examples, name)] for name in _SETS},
        "failures": [asdict(failure) for failure in failures],
        "provenance": dict(provenance),
    } | ({} if synthesis is None else {"synthesis": dict(synthesis)})
    write_json(folder / f"{examples.latent}.json", record)


def read_latent(folder: Path, latent: int) -> dict[str, Any] | None:
    """Return the content of a latent's file; None if there is none, or it is damaged."""
    try:
        record = read_json(folder / f"{latent}.json")
    except StoreError:
        return None
    return record if isinstance(record, dict) else None


def stored_latents(folder: Path) -> list[int]:
    """Return the latents that have a file, ascending."""
    return sorted(int(path.stem) for path in folder.glob("*.json") if path.stem.isdecimal())


def is_ours(record: Mapping[str, Any]) -> bool:
    """Return whether a latent's file was written by a run, and not by another program or by hand."""
    return isinstance(record.get("provenance"), dict) and "inputs" in record["provenance"]


def _place(context: Context) -> list[Any]:
    """Return where a context is: [split, row, first position, positions]."""
    return [context.source, context.row, context.start, len(context.tokens)]


def stored_explanations(record: Mapping[str, Any]) -> list[Explained]:
    """Return the explanations in a latent's file, the shown one first."""
    return [_stored(one) for one in (record, *record["alternatives"]) if "name" in one]


def stored_failures(record: Mapping[str, Any]) -> list[Failure]:
    """Return the failures in a latent's file."""
    return [Failure(**failure) for failure in record["failures"]]


def _stored(record: Mapping[str, Any]) -> Explained:
    explanation = Explanation(
        record["name"], record["explanation"], record["explainer"], record["model"], record["version"]
    )
    scores = {name: _stored_score(name, one) for name, one in record["scores"].items()}
    shuffled = {
        name: one["controls"]["shuffled"]["value"]
        for name, one in record["scores"].items()
        if "shuffled" in one["controls"]
    }
    return Explained(explanation, scores, shuffled)


def _stored_score(name: str, one: Mapping[str, Any]) -> Score:
    interval = None if one["interval"] is None else (one["interval"][0], one["interval"][1])
    return Score(name, one["value"], interval, one["n_active"], one["n_inactive"], one["details"])
