"""Rows of the report on explanations, read from the stored records and tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saefari.errors import StoreError
from saefari.log import logger
from saefari.names import RANDOM
from saefari.report.results.summary import Row
from saefari.store import read_explanation_record
from saefari.store.explanations import SUMMARY_RECORD, SUMMARY_TABLE

COLUMNS = (
    "model", "layer", "width", "latent", "name", "explanation", "explainer", "language_model", "n_rows",
    "n_activations", "density", "top_class", "scorer", "score", "score_low", "score_high", "shuffled", "random_sae",
)  # fmt: skip
"""One row per latent and scorer; latents without a score have one row with empty scores."""


@dataclass(frozen=True)
class ExplainedSaeRecord:
    """Explanations of one SAE. record: explanations.json. latents: rows of explanations.parquet."""

    model: str
    layer: int
    width: str
    record: dict[str, Any]
    latents: list[dict[str, Any]]

    @property
    def title(self) -> str:
        """Name in texts and figures, such as "layer 3 3k"."""
        return f"layer {self.layer} {self.width}"

    @property
    def scorers(self) -> list[str]:
        """Names of the scorers, the first is shown beside names."""
        return list(self.record.get("scores", {}))


def iter_explained(explanations: Path) -> Iterator[ExplainedSaeRecord]:
    """Yield every SAE with explanations, sorted, without random controls; log and skip what cannot be read."""
    import pyarrow.parquet as pq

    found = []
    for path in sorted(explanations.glob(f"*/layer_*/*/{SUMMARY_RECORD}")):
        folder = path.parent
        if folder.name.endswith(RANDOM):
            continue
        try:
            record = read_explanation_record(folder) or {}
            latents = pq.read_table(folder / SUMMARY_TABLE).to_pylist()
            layer = int(folder.parent.name.removeprefix("layer_"))
        except (StoreError, OSError, ValueError) as error:
            logger.warning("%s: the explanations cannot be read (%s)", folder, error)
            continue
        found.append(ExplainedSaeRecord(folder.parents[1].name, layer, folder.name, record, latents))
    yield from sorted(found, key=lambda one: (one.model, one.layer, one.width))


def latent_rows(explained: Sequence[ExplainedSaeRecord]) -> list[Row]:
    """Return one row per latent and scorer; the columns are COLUMNS."""
    rows = []
    for sae in explained:
        for latent in sae.latents:
            shared = {"model": sae.model, "layer": sae.layer, "width": sae.width} | {
                name: latent.get(name) for name in COLUMNS[3:12]
            }
            shared["language_model"] = latent.get("model")
            scored = [name for name in sae.scorers if latent.get(f"score:{name}") is not None]
            rows += [shared | _score(sae, latent, name) for name in scored] or [shared]
    return rows


def _score(sae: ExplainedSaeRecord, latent: dict[str, Any], scorer: str) -> Row:
    control = sae.record["scores"][scorer].get("random_sae") or {}
    return {
        "scorer": scorer,
        "score": latent[f"score:{scorer}"],
        "score_low": latent.get(f"low:{scorer}"),
        "score_high": latent.get(f"high:{scorer}"),
        "shuffled": latent.get(f"shuffled:{scorer}"),
        "random_sae": control.get("mean"),
    }
