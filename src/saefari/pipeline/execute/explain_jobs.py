"""Choose the latents to explain, and build the jobs of stage 3."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saefari.config import UsedByClassifiers
from saefari.data.slug import dataset_slug
from saefari.names import RANDOM
from saefari.pipeline.execute.build_jobs import max_tokens, model_source
from saefari.pipeline.execute.run_report import Report
from saefari.pipeline.plan.plan import ModelPlan, Plan
from saefari.pipeline.plan.saes import PlannedSae
from saefari.store import Manifest, codes_folder, iter_results

if TYPE_CHECKING:
    from saefari.interp.cache.build import CacheSource
    from saefari.interp.job import ExplainedSae, ExplainJob, SearchedCorpus

Result = tuple[Path, dict[str, Any]]

_RUN_FIRST = "run `python run_experiments.py` with this configuration first"


def explain_jobs(plan: Plan, device: str, overwrite: bool, report: Report) -> list[ExplainJob]:
    """Return one job per SAE with codes, or with a corpus to search, and with latents to explain; report the others."""
    from saefari.interp.job import ExplainJob, title_of

    explain = plan.config.explain
    if explain is None:
        return []
    results = list(iter_results(plan.layout.classifications))
    jobs = []
    for model in plan.models:
        for planned in model.saes:
            sae = _explained(plan, model, planned, random=False)
            if _is_announced(report, model, planned):
                continue
            if not (sae.codes or explain.corpus):
                report.fail(title_of(sae), f"its codes are not stored: {_RUN_FIRST}")
                continue
            uses_classifiers = isinstance(explain.latents, UsedByClassifiers)
            if uses_classifiers and not any(_results_of(plan, model, planned, results)):
                report.fail(title_of(sae), f"no classifier was trained on its codes: {_RUN_FIRST}")
                continue
            latents = _chosen(plan, model, planned, results)
            if latents == ():
                report.warn(f"{title_of(sae)}: no classifier uses a latent, so none is explained (explain.latents)")
                continue
            jobs.append(
                ExplainJob(
                    sae=sae,
                    control=_explained(plan, model, planned, random=True) if explain.has_random_control else None,
                    latents=latents,
                    explain=explain,
                    model=model_source(plan, model, device),
                    positions=model.positions,
                    answers=plan.layout.answers,
                    seed=plan.config.settings.seed,
                    max_tokens=max_tokens(plan, device),
                    corpus=_corpus(plan, model),
                    overwrite=overwrite,
                )
            )
    return jobs


def _is_announced(report: Report, model: ModelPlan, sae: PlannedSae) -> bool:
    """Return whether a failure of an earlier stage says that this SAE is not explained."""
    name = f"explain layer {sae.ref.layer} {sae.ref.width}"
    return any(work in (name, f"{name} of {model.title}") for one in report.failures for work in one.not_done)


def _corpus(plan: Plan, model: ModelPlan) -> SearchedCorpus | None:
    from saefari.interp.job import SearchedCorpus

    texts = plan.config.explain and plan.config.explain.corpus
    if not texts:
        return None
    return SearchedCorpus(
        texts=texts,
        folder=plan.layout.explanations / model.slug / ".corpus" / dataset_slug(texts.name),
        saes=tuple(sae.ref for sae in model.saes),
        prepend_bos=model.bos.change,
        outlier_norm=model.outliers.norm,
    )


def used_latents(classifiers: Iterable[dict[str, Any]], n: int) -> list[int]:
    """Return the n latents that a result's classifiers use most: by rank within a class of a probe or within a tree.

    Equal ranks are ordered by classifier and class; splits of a tree that are not among its listed features come last.
    classifiers: values of `classifiers` in results.json.
    """
    ranked: list[tuple[int, int]] = []
    for scores in classifiers:
        top = scores.get("top_features") or []
        lists = list(top.values()) if isinstance(top, dict) else [top]
        ranked += [(rank, int(one["feature"])) for listed in lists for rank, one in enumerate(listed)]
        beyond = max(map(len, lists), default=0)
        ranked += [(beyond, int(node["feature"])) for node in scores.get("nodes", []) if "feature" in node]
    by_rank = sorted(ranked, key=lambda one: one[0])
    return list(dict.fromkeys(latent for _, latent in by_rank))[:n]


def _chosen(plan: Plan, model: ModelPlan, sae: PlannedSae, results: Iterable[Result]) -> tuple[int, ...] | None:
    """Return the latents to explain, () if no classifier uses any; None if the activations decide."""
    explain = plan.config.explain
    assert explain is not None
    if isinstance(explain.latents, tuple):
        return explain.latents
    if not isinstance(explain.latents, UsedByClassifiers):
        return None
    used: dict[int, None] = {}
    for result in _results_of(plan, model, sae, results):
        used.update(dict.fromkeys(used_latents(result["classifiers"].values(), explain.latents.used_by_classifiers)))
    return tuple(used)


def _results_of(plan: Plan, model: ModelPlan, sae: PlannedSae, results: Iterable[Result]) -> Iterator[dict[str, Any]]:
    """Yield the results on the features of an SAE."""
    place = Path(f"layer_{sae.ref.layer}", sae.ref.width)
    for folder, result in results:
        relative = folder.relative_to(plan.layout.classifications)
        if relative.parts[0] == model.slug and relative.parts[-3:-1] == place.parts and "classifiers" in result:
            yield result


def _explained(plan: Plan, model: ModelPlan, sae: PlannedSae, *, random: bool) -> ExplainedSae:
    from saefari.interp.job import ExplainedSae

    ref = sae.ref
    name = ref.width + RANDOM if random else ref.width
    return ExplainedSae(
        title=f"layer {ref.layer} {name} of {model.title}",
        out=plan.layout.explanation(model.slug, ref.layer, name),
        codes=() if plan.config.explain and plan.config.explain.corpus else tuple(_codes(plan, model, ref.layer, name)),
        ref=ref,
        random=random,
        neuronpedia_id=None if random else ref.neuronpedia_id,
    )


def _codes(plan: Plan, model: ModelPlan, layer: int, name: str) -> Iterator[CacheSource]:
    """Yield the complete codes of an SAE on the training split of each dataset."""
    from saefari.interp.cache.build import CacheSource

    for dataset in plan.extracted_datasets_of(model):
        samples = plan.samples(model, dataset, dataset.spec.split)
        folder = codes_folder(samples, layer, name)
        manifest = Manifest.load(folder)
        if manifest is not None and manifest.complete:
            yield CacheSource(samples.relative_to(plan.layout.activations).as_posix(), samples, folder)
