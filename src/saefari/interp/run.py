"""Stage 3: explain and score latents of one SAE, and of its random control."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from saefari.config import RandomLatents
from saefari.errors import StoreError
from saefari.fingerprint import fingerprint
from saefari.interp.job import ExplainedSae, ExplainJob, ExplainOutcome
from saefari.interp.latent_file import FORMAT
from saefari.interp.records import Failure
from saefari.store import Manifest, read_explanation_record, read_samples_record, read_split_record

if TYPE_CHECKING:
    from saefari.interp.shared import Shared
    from saefari.interp.tools import Tools

RANDOM_LATENTS = 50
"""Latents of the random SAE that are explained and scored for comparison."""
_SHAPING = {"kind", "model", "max_tokens", "temperature", "log_probabilities"}
"""Keys of `explain.client` that shape its answers."""
VERSION = 1
"""Increase if the content of explanations changes for the same settings."""


def run_explain(job: ExplainJob, shared: Shared) -> ExplainOutcome:
    """Explain the latents of an SAE, score the explanations, and write them with their controls.

    shared: what the jobs of a run share, made once for all of them.
    Nothing is computed if the stored record has the same inputs and no failures. Latents that are finished are not
    explained again; failed steps are repeated, with answers that were paid for taken from the cache.
    Raises SaefariError if nothing can be explained (missing codes, unreachable model …).
    """
    record, reused = _stored(job, job.sae), True
    if record is None:
        from saefari.interp.explain_sae import explain_sae
        from saefari.interp.tools import Tools

        tools = Tools(job, shared)
        scores = _random_scores(job, tools)
        record, reused = explain_sae(job, job.sae, tools, inputs_of(job, job.sae), scores), False
    failures = tuple(Failure(**failure) for failure in record["failures"])
    return ExplainOutcome(
        n_explained=record["n_explained"],
        reused=reused,
        too_few=len(record["too_few"]),
        failures=failures,
        warnings=record["warnings"],
        cost=(record["usage"] or {}).get("cost"),
    )


def _random_scores(job: ExplainJob, tools: Tools) -> dict[str, Any]:
    """Explain and score latents of the random SAE; return scorer -> summary of its scores."""
    from saefari.interp.explain_sae import explain_sae

    if job.control is None:
        return {}
    if not job.control.codes and job.corpus is None:
        raise StoreError(
            f"the codes of {job.control.title} are not stored: run `python run_experiments.py`, which adds them, or "
            "remove random_sae from explain.controls"
        )
    latents = RandomLatents(random=RANDOM_LATENTS)
    explain = job.explain.model_copy(update={"latents": latents, "controls": [], "explainers": _scored(job)})
    of_control = replace(job, sae=job.control, control=None, latents=None, explain=explain)
    record = _stored(of_control, job.control)
    if record is None:
        record = explain_sae(of_control, job.control, tools.of(of_control), inputs_of(of_control, job.control), {})
    scores: dict[str, Any] = record["scores"]
    return scores


def _scored(job: ExplainJob) -> list[str]:
    """Return the explainers that can explain a random SAE: none that looks an explanation up."""
    able: list[str] = [name for name in job.explain.explainers if name not in ("neuronpedia", "human", "none")]
    return able or ["lexical"]


def _stored(job: ExplainJob, sae: ExplainedSae) -> dict[str, Any] | None:
    """Return the stored record if nothing changed and nothing failed, else None."""
    record = read_explanation_record(sae.out)
    if job.overwrite or record is None or record.get("inputs") != inputs_of(job, sae) or record.get("failures"):
        return None
    return record


def inputs_of(job: ExplainJob, sae: ExplainedSae) -> str:
    """Return the fingerprint of all that shapes the explanations of an SAE."""
    client = job.explain.client
    shaping = None if client is None else client.model_dump(include=_SHAPING)
    digests: list[Any] = []
    for source in sae.codes:
        manifest = Manifest.load(source.codes)
        samples, split = read_samples_record(source.samples), read_split_record(source.samples)
        digests.append(
            [
                source.name,
                manifest and [shard.sha256 for shard in manifest.shards],
                samples and samples["sha256"],
                split and split["sha256"],
            ]
        )
    return fingerprint(
        [
            VERSION,
            FORMAT,
            job.explain.model_dump(mode="json", exclude={"client"}),
            shaping,
            job.latents,
            job.seed,
            digests,
            job.control is not None,
        ]
    )
