"""Format the planned explanations as text, with an estimate of requests and cost, for `--dry-run`."""

from __future__ import annotations

from math import prod

from saefari.config import RandomLatents, UsedByClassifiers
from saefari.pipeline.plan.check_saes import shape_of
from saefari.pipeline.plan.plan import Plan
from saefari.pipeline.plan.saes import PlannedSae


def describe_explanations(plan: Plan) -> list[str]:
    """Return lines on latents, explainers, scorers and the expected cost; none without the section `explain`."""
    explain = plan.config.explain
    if explain is None:
        return []
    from saefari.interp.estimate import estimate_requests
    from saefari.interp.run import RANDOM_LATENTS

    saes = [sae for model in plan.models for sae in model.saes]
    n_latents = sum(_most_latents(plan, sae) for sae in saes)
    n_control = RANDOM_LATENTS * len(saes) if explain.has_random_control else 0
    n_saes = "1 SAE" if len(saes) == 1 else f"{len(saes):,} SAEs"
    control = f" and {n_control:,} of random SAEs" if n_control else ""
    scored = f"; scored by {', '.join(explain.scorers)}" if explain.scorers else "; not scored"
    lines = [
        f"explanations in {plan.layout.explanations}: at most {n_latents:,} latents of {n_saes}{control}, "
        f"explained by {', '.join(explain.explainers)}{scored}"
    ]
    if explain.client is not None:
        where = explain.client.base_url or "this machine"
        lines.append(f"  client: {explain.client.model} ({explain.client.kind}, {where})")
        estimate = estimate_requests(explain, n_latents, n_control)
        if estimate is not None:
            limit = f"; max_cost ${explain.client.max_cost:,.2f}" if explain.client.max_cost else ""
            lines.append(f"  at most {estimate}{limit}; unusable answers are asked again, which is not counted")
    return lines


def _most_latents(plan: Plan, sae: PlannedSae) -> int:
    """Return the largest possible number of latents of an SAE that are explained."""
    explain, params = plan.config.explain, plan.config.classification_params
    assert explain is not None
    d_sae = shape_of(sae).d_sae
    if isinstance(explain.latents, tuple):
        return len(explain.latents)
    if isinstance(explain.latents, RandomLatents):
        wanted = explain.latents.random
    elif isinstance(explain.latents, UsedByClassifiers):
        pooled = sum(len(params.pooling) if n == 0 else 1 for n in params.top_n_values)
        settings = prod([pooled, len(params.binarize_values), len(params.select_k)]) + (params.extra_top_n is not None)
        wanted = explain.latents.used_by_classifiers * settings * len(plan.datasets)
    else:
        wanted = d_sae or 0
    return wanted if d_sae is None else min(wanted, d_sae)
