"""Stage 3: explain and score latents of one SAE, and of its random control."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saefari.config import RandomLatents
from saefari.errors import StoreError
from saefari.fingerprint import file_digest, fingerprint
from saefari.interp.job import ExplainedSae, ExplainJob, ExplainOutcome, TooFewExamplesError
from saefari.interp.latent_file import FORMAT, stored_latents
from saefari.interp.records import Failure
from saefari.interp.summary import summary_record
from saefari.store import Manifest, read_samples_record, read_split_record

if TYPE_CHECKING:
    from saefari.interp.explain_sae import RandomControl
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

        _require_control(job)
        tools = Tools(job, shared)
        inputs = inputs_of(job, job.sae)
        record, reused = explain_sae(job, job.sae, tools, inputs, lambda: _random_control(job, tools)), False
    return ExplainOutcome(
        n_explained=record["n_explained"],
        reused=reused,
        too_few=len(record["too_few"]),
        failures=tuple(Failure(**failure) for failure in record["failures"] if failure["is_possible"]),
        warnings=record["warnings"],
        cost=(record["usage"] or {}).get("cost"),
    )


def _require_control(job: ExplainJob) -> None:
    if job.control is not None and not job.control.codes and job.corpus is None:
        raise StoreError(
            f"the codes of {job.control.title} are not stored: run `python run_experiments.py`, which adds them, or "
            "remove random_sae from explain.controls"
        )


def _random_control(job: ExplainJob, tools: Tools) -> RandomControl:
    """Explain and score latents of the random SAE; without enough examples there is a warning and no control."""
    from saefari.interp.explain_sae import RandomControl, explain_sae

    if job.control is None:
        return RandomControl()
    of_control = _control_job(job)
    record = _stored(of_control, job.control)
    if record is None:
        inputs = inputs_of(of_control, job.control)
        try:
            record = explain_sae(of_control, job.control, tools.of(of_control), inputs, RandomControl)
        except TooFewExamplesError as error:
            return RandomControl(warnings=[f"no control by a random SAE: {error}"])
    failures = [Failure(**failure) for failure in record["failures"] if failure["is_possible"]]
    return RandomControl(record["scores"], [replace(one, step=f"{one.step} (random SAE)") for one in failures])


def _control_job(job: ExplainJob) -> ExplainJob:
    """Return the job that explains the random SAE."""
    assert job.control is not None
    latents = RandomLatents(random=RANDOM_LATENTS)
    explain = job.explain.model_copy(update={"latents": latents, "controls": [], "explainers": _scored(job)})
    return replace(job, sae=job.control, control=None, latents=None, explain=explain)


def _scored(job: ExplainJob) -> list[str]:
    """Return the explainers that can explain a random SAE: none that looks an explanation up."""
    able: list[str] = [name for name in job.explain.explainers if name not in ("neuronpedia", "human", "none")]
    return able or ["lexical"]


def _stored(job: ExplainJob, sae: ExplainedSae) -> dict[str, Any] | None:
    """Return the stored record if nothing changed, no file is missing, and no step has to be repeated, else None."""
    record = summary_record(sae.out)
    if job.overwrite or record is None or record.get("inputs") != inputs_of(job, sae):
        return None
    is_complete = len(stored_latents(sae.out)) >= record["n_explained"]
    return record if is_complete and not any(one["is_possible"] for one in record["failures"]) else None


def inputs_of(job: ExplainJob, sae: ExplainedSae) -> str:
    """Return the fingerprint of all that shapes the explanations of an SAE, and of its random control.

    Raises SaeError if the SAE's files cannot be read.
    """
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
            _corpus_inputs(job, sae),
            _file_digest(job.explain.file),
            None if job.control is None else inputs_of(_control_job(job), job.control),
        ]
    )


def _corpus_inputs(job: ExplainJob, sae: ExplainedSae) -> list[Any] | None:
    """Return what shapes the contexts in a searched corpus; None without one, since stored codes have digests."""
    from saefari.saes.identity import sae_settings

    if job.corpus is None:
        return None
    corpus = job.corpus
    texts = _file_digest(corpus.texts.name)
    return [texts, sae_settings(sae.ref), job.model.settings(), corpus.prepend_bos, corpus.outlier_norm]


def _file_digest(name: str | None) -> str | None:
    """Return the digest of a file that the configuration names; None if it names none, or nothing on this disk."""
    return file_digest(Path(name)) if name is not None and Path(name).is_file() else None
