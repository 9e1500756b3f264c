"""Explain the latents of one SAE: choose them, explain, score, score shuffled explanations, and write all files."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from saefari.config import RandomLatents
from saefari.interp.cache.latent_cache import LatentCache
from saefari.interp.contexts.examples import ExampleSampler
from saefari.interp.event_loop import run_to_end
from saefari.interp.explain_many import LatentResult, explain_many
from saefari.interp.job import ExplainedSae, ExplainJob, TooFewExamplesError
from saefari.interp.latent_file import (
    Explained,
    is_ours,
    read_latent,
    stored_explanations,
    stored_failures,
    stored_latents,
    without_folders,
    write_latent,
)
from saefari.interp.records import Explanation, Failure, LatentExamples
from saefari.interp.scorers.controls import shuffled_assignment
from saefari.interp.summary import write_summary
from saefari.interp.synthesis.files import is_grey, stored_images, write_images
from saefari.interp.tools import Tools
from saefari.log import logger, progress_bar
from saefari.provenance import library_versions
from saefari.store.synthesised_images import synthesised_image_path


@dataclass(frozen=True)
class RandomControl:
    """What came out for the random SAE. scores: scorer -> summary. warnings: why there are no scores."""

    scores: Mapping[str, Any] = field(default_factory=dict)
    failures: Sequence[Failure] = ()
    warnings: Sequence[str] = ()


def explain_sae(
    job: ExplainJob, sae: ExplainedSae, tools: Tools, inputs: str, control: Callable[[], RandomControl]
) -> dict[str, Any]:
    """Explain latents of an SAE and write their files; return the record of the SAE.

    control: called when the latents are explained, so that they come first if money runs out. Raises
    TooFewExamplesError.
    """
    started = time.perf_counter()
    cache = tools.cache(sae, job.latents)
    latents, too_few = _choose(job, cache)
    if not latents:
        raise TooFewExamplesError(
            f"{sae.title}: none of {len(too_few):,} latents is active in at least "
            f"{job.explain.sampling.min_examples} rows (explain.sampling.min_examples): lower it, or give a larger "
            "corpus"
        )
    latents = _without_foreign(job, sae, latents)
    run = _SaeRun(job, sae, tools, cache, latents, inputs)
    run_to_end(run.all_passes())
    if job.explain.synthesise and not sae.random:
        run.synthesise()
    random = control()
    explained = run.finish({name: one["mean"] for name, one in random.scores.items()})
    return write_summary(
        sae.out,
        inputs=inputs,
        settings=without_folders(job.explain.model_dump(mode="json")),
        explained=explained,
        scorers=run.scorers,
        random_scores=random.scores,
        too_few=too_few,
        failures=[asdict(one) for one in sorted((*run.failures, *random.failures), key=_by_latent)],
        warnings=list(random.warnings),
        usage=tools.usage(),
        seconds=round(time.perf_counter() - started, 1),
    )


def _by_latent(failure: Failure) -> tuple[int, str]:
    return failure.latent, failure.step


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
        self._has_new = False
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
                self.failures += stored_failures(stored)
        todo = [latent for latent in self._latents if latent not in self._explained]
        self._has_new = bool(todo)
        async for result in self._results(todo, self._explainers, "explain"):
            explained = [Explained(one.explanation, {s.scorer: s for s in one.scores}) for one in result.explanations]
            latent = result.examples.latent
            if explained or not self._explainers:
                self._explained[latent] = explained
                if not any(failure.is_possible for failure in result.failures):
                    self._write(result.examples, {})

    async def _score_shuffled(self) -> None:
        """Score the explanation of another latent of similar density on each latent's contexts."""
        latents = sorted(latent for latent, explained in self._explained.items() if explained)
        scored = [latent for latent in latents if self._explained[latent][0].scores]
        # A new explanation changes the assignment of all latents.
        pending = [latent for latent in scored if self._has_new or not self._explained[latent][0].shuffled]
        if not pending or len(latents) < 2:
            return
        density = self._cache.density
        assigned = shuffled_assignment([float(density[latent]) for latent in latents], self._job.seed)
        given = {
            latent: self._explained[latents[other]][0].explanation
            for latent, other in zip(latents, assigned, strict=True)
        }
        async for result in self._results(pending, [_Given(given)], "score shuffled explanations", " (shuffled)"):
            latent = result.examples.latent
            first, *others = self._explained[latent]
            scores = {
                score.scorer: score.value
                for one in result.explanations
                for score in one.scores
                if score.scorer in first.scores
            }
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

    async def _results(
        self, latents: list[int], explainers: Any, what: str, suffix: str = ""
    ) -> AsyncIterator[LatentResult]:
        """Yield the results and collect the failures. suffix: of the failed steps' names."""
        examples: Iterable[LatentExamples] = map(self._sampler.examples, latents)
        with progress_bar(len(latents), f"{what} {self._sae.title}", "latents") as bar:
            async for result in explain_many(examples, explainers, self.scorers):
                bar.update()
                self.failures += [replace(one, step=one.step + suffix) for one in result.failures]
                yield result

    def finish(self, random_means: Mapping[str, float]) -> list[dict[str, Any]]:
        """Write every latent's file with all controls, and remove outdated ones; return the content of the files."""
        self._remove_outdated()
        for latent in sorted(self._explained):
            self._write(self._sampler.examples(latent), random_means)
        records = (read_latent(self._sae.out, latent) for latent in sorted(self._explained))
        return [record for record in records if record and "name" in record]

    def _remove_outdated(self) -> None:
        """Remove the files of earlier runs about latents that are not explained any more."""
        folder = self._sae.out
        others = [latent for latent in stored_latents(folder) if latent not in self._explained]
        outdated = [latent for latent in others if is_ours(read_latent(folder, latent) or {})]
        for latent in outdated:
            (folder / f"{latent}.json").unlink(missing_ok=True)
            synthesised_image_path(folder, latent).unlink(missing_ok=True)
        if outdated:
            logger.info("%s: %d explanations of other settings were removed", folder, len(outdated))

    def _write(self, examples: LatentExamples, random_means: Mapping[str, float]) -> None:
        failures = [failure for failure in self.failures if failure.latent == examples.latent]
        provenance = {
            "inputs": None if any(failure.is_possible for failure in failures) else self._inputs,
            "seed": self._job.seed,
            "versions": library_versions("saefari", "torch", "transformers"),
        }
        explained, image = self._explained[examples.latent], self._images.get(examples.latent)
        write_latent(self._sae.out, examples, explained, random_means, provenance, failures, image)


class _Given:
    """An explainer that returns explanations that exist. given: latent -> explanation."""

    name = "shuffled"

    def __init__(self, given: Mapping[int, Explanation]) -> None:
        self._given = given

    async def explain(self, examples: LatentExamples) -> Explanation:
        return self._given[examples.latent]
