"""Remove work from a plan that depends on a failure, and list the work that is lost."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from saefari.pipeline.execute import build_jobs
from saefari.pipeline.execute.classify_jobs import classify_sources
from saefari.pipeline.plan.plan import DatasetPlan, ModelPlan, Plan

Stage = Literal["train", "extract", "classify", "explain"]


def without_model(plan: Plan, name: str) -> Plan:
    """Return the plan without a model that does not exist."""
    return replace(plan, models=[model for model in plan.models if model.name != name])


def without_rows(plan: Plan, dataset: DatasetPlan, *models: ModelPlan) -> Plan:
    """Return the plan without a dataset whose rows cannot be used for these models."""
    return replace(plan, dropped=plan.dropped | {(model.slug, dataset) for model in models})


def without_features(plan: Plan, model: ModelPlan, dataset: DatasetPlan) -> Plan:
    """Return the plan without work on a dataset's hidden states and codes, whose extraction failed."""
    return replace(plan, unextracted=plan.unextracted | {(model.slug, dataset)})


def without_codes(plan: Plan, model: ModelPlan, dataset: DatasetPlan) -> Plan:
    """Return the plan without work on a dataset's codes, whose encoding failed."""
    return replace(plan, unencoded=plan.unencoded | {(model.slug, dataset)})


def without_saes(plan: Plan, folders: Collection[Path]) -> Plan:
    """Return the plan without the SAEs that could not be trained."""
    models = [
        replace(model, saes=tuple(sae for sae in model.saes if Path(sae.ref.path or "") not in folders))
        for model in plan.models
    ]
    return replace(plan, models=models)


def lost_work(before: Plan, after: Plan, remaining: Collection[Stage]) -> list[str]:
    """Return names of the work in the remaining stages that is in the plan `before` and not in `after`."""
    kept = set(_work(after, remaining, of=before))
    return [work for work in _work(before, remaining, of=before) if work not in kept]


def _work(plan: Plan, remaining: Collection[Stage], of: Plan) -> Iterator[str]:
    """Yield names of a plan's work. of: plan that decides whether names include model and dataset."""
    if "train" in remaining:
        for model in plan.models:
            suffix = f" of {model.title}" if len(of.models) > 1 else ""
            for sae in model.saes:
                corpus = sae.training and sae.training.corpus
                if sae.training is not None and (corpus or plan.extracted_datasets_of(model)):
                    yield f"train layer {sae.ref.layer} {sae.ref.width}{suffix}"
    if "extract" in remaining:
        for model, dataset in plan.pairs():
            if model.saes:
                yield from (f"extract {build_jobs.title(model, dataset, split)}" for split in dataset.splits)
    if "classify" in remaining:
        several = len({(model.slug, dataset) for model in of.models for dataset in of.datasets}) > 1
        for job in classify_sources(plan):
            where = f" ({build_jobs.title(job.model, job.dataset, job.dataset.spec.split)})" if several else ""
            yield f"classify {job.name}{where}"
    if "explain" in remaining and plan.config.explain is not None:
        for model in plan.models:
            suffix = f" of {model.title}" if len(of.models) > 1 else ""
            encoded = [one for one in plan.extracted_datasets_of(model) if (model.slug, one) not in plan.unencoded]
            for sae in model.saes if encoded or plan.config.explain.corpus else ():
                yield f"explain layer {sae.ref.layer} {sae.ref.width}{suffix}"
