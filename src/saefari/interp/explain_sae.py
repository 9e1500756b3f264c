"""Explain the latents of one SAE: choose them, explain, score, score shuffled explanations, and write all files."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from saefari.config import RandomLatents
from saefari.errors import DataError
from saefari.interp.cache.latent_cache import LatentCache
from saefari.interp.contexts.examples import ExampleSampler
from saefari.interp.explain_many import LatentResult, explain_many
from saefari.interp.job import ExplainedSae, ExplainJob
from saefari.interp.latent_file import Explained, is_ours, read_latent, stored_explanations, write_latent
from saefari.interp.records import Explanation, Failure, LatentExamples
from saefari.interp.scorers.controls import shuffled_assignment
from saefari.interp.summary import write_summary
from saefari.interp.synthesis.files import is_grey, stored_images, write_images
from saefari.interp.tools import Tools
from saefari.log import logger, progress_bar
from saefari.provenance import library_versions

_LONGEST_LIST = 10


def explain_sae(
    job: ExplainJob, sae: ExplainedSae, tools: Tools, inputs: str, random_scores: Mapping[str, Any]
) -> dict[str, Any]:
    """Explain latents of an SAE and write their files; return the record of the SAE.

    random_scores: scorer -> summary of the scores of the random SAE's latents. Raises DataError if no latent has enough
    examples.
    """
    started = time.perf_counter()
    cache = tools.cache(sae, job.latents)
    latents, too_few = _choose(job, cache)
    if not latents:
        raise DataError(
            f"{sae.title}: none of {len(too_few):,} latents is active in {job.explain.sampling.min_examples} rows "
            "(explain.sampling.min_examples): lower it, or give a larger corpus"
        )
    latents = _without_foreign(job, sae, latents)
    run = _SaeRun(job, sae, tools, cache, latents, inputs)
    asyncio.run(run.all_passes())
    if job.explain.synthesise and not sae.random:
        run.synthesise()
    return write_summary(
        sae.out,
        inputs=inputs,
        settings=job.explain.model_dump(mode="json"),
        explained=run.finish({name: one["mean"] for name, one in random_scores.items()}),
        scorers=run.scorers,
        random_scores=random_scores,
        too_few=too_few,
        failures=[asdict(one) for one in run.failures],
        warnings=run.warnings(),
        usage=tools.usage(),
        seconds=round(time.perf_counter() - started, 1),
    )


def _choose(job: ExplainJob, cache: LatentCache) -> tuple[list[int], list[tuple[int, int]]]:
    """Return (latents to explain, latents with too few examples)."""
    least, wanted = job.explain.sampling.min_examples, job.explain.latents
    candidates = range(cache.d_sae) if job.latents is None else job.latents
    too_few = cache.too_few(candidates, least)
    left_out = {latent for latent, _ in too_few}
    enough = [latent for latent in candidates if latent not in left_out]
    if job.latents is None and isinstance(wanted, RandomLatents):
        drawn = np.random.default_rng(job.seed).permutation(len(enough))[: wanted.random]
        enough = [enough[i] for i in sorted(drawn)]
    return enough, too_few


def _without_foreign(job: ExplainJob, sae: ExplainedSae, latents: Sequence[int]) -> list[int]:
    """Return the latents whose file was not written by another program or by hand."""
    kept = []
    for latent in latents:
        record = read_latent(sae.out, latent)
        if record is None or is_ours(record) or job.overwrite:
            kept.append(latent)
    if len(kept) < len(latents):
        logger.warning(
            "%s: %d explanations were not written by a run and are kept; --overwrite replaces them",
            sae.out,
            len(latents) - len(kept),
        )
    return kept


class _SaeRun:
    """The work on one SAE. failures: of all passes."""

    def __init__(
        self, job: ExplainJob, sae: ExplainedSae, tools: Tools, cache: LatentCache, latents: list[int], inputs: str
    ) -> None:
        self._job = job
        self._sae = sae
        self._tools = tools
        self._latents = latents
        self._sampler: ExampleSampler = tools.sampler(sae, cache, latents)
        self._explainers = tools.explainers(sae, self._sampler)
        self.scorers = tools.scorers(sae)
        self._inputs = inputs
        self._cache = cache
        self._images = stored_images(sae.out, latents, inputs) if job.explain.synthesise else {}
        self._explained: dict[int, list[Explained]] = {}
        self.failures: list[Failure] = []

    async def all_passes(self) -> None:
        """Explain and score what is not finished, then score shuffled explanations."""
        try:
            await self._explain()
            if "shuffled" in self._job.explain.controls and self.scorers:
                await self._score_shuffled()
        finally:
            await self._tools.close_client()

    async def _explain(self) -> None:
        for latent in self._latents:
            stored = read_latent(self._sae.out, latent)
            if stored is not None and (stored.get("provenance") or {}).get("inputs") == self._inputs:
                self._explained[latent] = stored_explanations(stored)
        todo = [latent for latent in self._latents if latent not in self._explained]
        async for result in self._results(todo, self._explainers, "explain"):
            explained = [Explained(one.explanation, {s.scorer: s for s in one.scores}) for one in result.explanations]
            latent = result.examples.latent
            if explained or not self._explainers:
                self._explained[latent] = explained
                if not result.failures:
                    self._write(result.examples, {})

    async def _score_shuffled(self) -> None:
        """Score the explanation of another latent of similar density on each latent's contexts."""
        pending = [latent for latent, explained in self._explained.items() if explained and not explained[0].shuffled]
        if not pending:
            return
        latents = sorted(latent for latent, explained in self._explained.items() if explained)
        density = self._cache.density
        assigned = shuffled_assignment([float(density[latent]) for latent in latents], self._job.seed)
        given = {
            latent: self._explained[latents[other]][0].explanation
            for latent, other in zip(latents, assigned, strict=True)
        }
        async for result in self._results(sorted(pending), [_Given(given)], "score shuffled explanations"):
            latent = result.examples.latent
            first, *others = self._explained[latent]
            scores = {score.scorer: score.value for one in result.explanations for score in one.scores}
            self._explained[latent] = [Explained(first.explanation, first.scores, scores), *others]

    def synthesise(self) -> None:
        """Make the image of each explained latent that has none, and add its figures to the latent's file."""
        todo = [latent for latent in self._explained if latent not in self._images]
        if not todo:
            return
        peaks = {latent: float(self._cache.of(latent).value.max()) for latent in todo}
        grey = is_grey(self._sampler.examples(todo[0]).explain)
        subject = self._tools.image_subject(self._sae)
        with progress_bar(len(todo), f"synthesise images {self._sae.title}", "images") as bar:
            for latent, figures in write_images(subject, self._sae.out, peaks, self._inputs, self._job.seed, grey):
                bar.update()
                self._images[latent] = figures
                self._write(self._sampler.examples(latent), {})

    async def _results(self, latents: list[int], explainers: Any, what: str) -> AsyncIterator[LatentResult]:
        examples: Iterable[LatentExamples] = map(self._sampler.examples, latents)
        with progress_bar(len(latents), f"{what} {self._sae.title}", "latents") as bar:
            async for result in explain_many(examples, explainers, self.scorers):
                bar.update()
                self.failures += result.failures
                yield result

    def finish(self, random_means: Mapping[str, float]) -> list[dict[str, Any]]:
        """Write every latent's file with all controls; return the content of the files."""
        for latent in sorted(self._explained):
            self._write(self._sampler.examples(latent), random_means)
        records = (read_latent(self._sae.out, latent) for latent in sorted(self._explained))
        return [record for record in records if record and "name" in record]

    def warnings(self) -> list[str]:
        """Return a warning if latents are active nearly everywhere, so that they have no scores."""
        failed = {failure.latent for failure in self.failures}
        unscored = [
            latent
            for latent, explained in sorted(self._explained.items())
            if explained and latent not in failed and len(explained[0].scores) < len(self.scorers)
        ]
        if not unscored:
            return []
        return [
            f"{self._sae.title}: without a score, since no contexts are left in which they are inactive: "
            f"{len(unscored):,} of {len(self._explained):,} latents ({_listed(unscored)})"
        ]

    def _write(self, examples: LatentExamples, random_means: Mapping[str, float]) -> None:
        failed = any(failure.latent == examples.latent for failure in self.failures)
        provenance = {
            "inputs": None if failed else self._inputs,
            "seed": self._job.seed,
            "versions": library_versions("saefari", "torch", "transformers"),
        }
        image = self._images.get(examples.latent)
        write_latent(self._sae.out, examples, self._explained[examples.latent], random_means, provenance, image)


def _listed(latents: Sequence[int]) -> str:
    shown = ", ".join(map(str, latents[:_LONGEST_LIST]))
    return f"{shown} …" if len(latents) > _LONGEST_LIST else shown


class _Given:
    """An explainer that returns explanations that exist. given: latent -> explanation."""

    name = "shuffled"

    def __init__(self, given: Mapping[int, Explanation]) -> None:
        self._given = given

    async def explain(self, examples: LatentExamples) -> Explanation:
        return self._given[examples.latent]
