"""What depends on what: the work that a plan holds, and what a failure takes from it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from saefari.pipeline.execute import build_jobs as stages
from saefari.pipeline.execute.classify_jobs import classify_sources
from saefari.pipeline.plan.plan import DatasetPlan, ModelPlan, Plan

Stage = Literal["train", "extract", "classify"]


def without_model(plan: Plan, name: str) -> Plan:
    """The plan without a model that is not there."""
    return replace(plan, models=[model for model in plan.models if model.name != name])


def without_rows(plan: Plan, dataset: DatasetPlan, *models: ModelPlan) -> Plan:
    """The plan without a dataset whose rows could not be prepared for these models, or not be used."""
    return replace(plan, dropped=plan.dropped | {(model.slug, dataset) for model in models})


def without_features(plan: Plan, model: ModelPlan, dataset: DatasetPlan) -> Plan:
    """The plan without what reads a dataset's hidden states and codes, which a model could not give."""
    return replace(plan, unextracted=plan.unextracted | {(model.slug, dataset)})


def without_codes(plan: Plan, model: ModelPlan, dataset: DatasetPlan) -> Plan:
    """The plan without what reads a dataset's codes, which could not be made of its stored hidden states."""
    return replace(plan, unencoded=plan.unencoded | {(model.slug, dataset)})


def without_saes(plan: Plan, folders: Collection[Path]) -> Plan:
    """The plan without the SAEs that could not be trained."""
    models = [
        replace(model, saes=tuple(sae for sae in model.saes if Path(sae.ref.path or "") not in folders))
        for model in plan.models
    ]
    return replace(plan, models=models)


def lost_work(before: Plan, after: Plan, remaining: Collection[Stage]) -> list[str]:
    """What a plan held and no longer holds of the stages that are remaining to run, as messages name it."""
    kept = set(_work(after, remaining, of=before))
    return [work for work in _work(before, remaining, of=before) if work not in kept]


def _work(plan: Plan, remaining: Collection[Stage], of: Plan) -> Iterator[str]:
    """Names of a plan's work. of: the plan whose models and datasets decide how much a name has to say."""
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
                yield from (f"extract {stages.title(model, dataset, split)}" for split in dataset.splits)
    if "classify" in remaining:
        several = len({(model.slug, dataset) for model in of.models for dataset in of.datasets}) > 1
        for job in classify_sources(plan):
            where = f" ({stages.title(job.model, job.dataset, job.dataset.spec.split)})" if several else ""
            yield f"classify {job.name}{where}"
