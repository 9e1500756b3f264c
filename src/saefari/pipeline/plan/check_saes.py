"""Check that planned SAEs fit their model and classification_params, before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from saefari.errors import PATH_LENGTH, Problem, enumerated, shown
from saefari.pipeline.plan.plan import Plan
from saefari.pipeline.plan.saes import PlannedSae
from saefari.saes.shape import SaeShape, sae_shape


def shape_of(sae: PlannedSae) -> SaeShape:
    """Return the shape of an existing SAE, or of one that the run will train."""
    training = sae.training
    if training is None:
        return sae_shape(sae.ref)
    return SaeShape(None, training.latents(sae.ref.width), training.k if training.architecture == "topk" else None)


def width_problems(model: str, d_model: int, saes: Sequence[PlannedSae]) -> Iterator[Problem]:
    """Yield a problem for each SAE whose input size differs from the model's hidden size."""
    for sae in saes:
        ref, d_in = sae.ref, shape_of(sae).d_in
        of_heads = (ref.hook or "").endswith("hook_z")  # concatenated heads, whose size may differ from d_model
        if d_in is not None and d_in != d_model and not of_heads:
            name = shown(model, PATH_LENGTH)
            message = f"{ref.title} takes vectors of {d_in:,} values, but hidden states of {name} have {d_model:,}"
            where = f"{shown(ref.width)} at layer {ref.layer}"
            yield Problem(sae.place, f"{where}: {message}: it was trained on another model")


def latent_warnings(plan: Plan) -> Iterator[str]:
    """Yield a warning for each top_n or select_k above the number of latents that an SAE has, or can have active."""
    params = plan.config.classification_params
    saes = [sae for model in plan.models for sae in model.saes]
    shapes = [(f"layer {sae.ref.layer} {sae.ref.width}", shape_of(sae)) for sae in saes]
    extra = [("extra_top_n", params.extra_top_n)] if params.extra_top_n is not None else []
    for key, n in [*((f"top_n_values[{i}]", n) for i, n in enumerate(params.top_n_values)), *extra]:
        active = {name: min(shape.d_sae or n, shape.k or n) for name, shape in shapes}
        beyond = [f"{name} ({most:,})" for name, most in active.items() if most < n]
        if beyond:
            reason = "is more than the latents that can be active at a position in"
            yield f"classification_params.{key}: {n:,} {reason} {enumerated(beyond, 3)}: all are counted, as with -1"
    for i, k in enumerate(params.select_k):
        beyond = [f"{name} ({shape.d_sae:,})" for name, shape in shapes if k and shape.d_sae and shape.d_sae < k]
        if beyond:
            yield (
                f"classification_params.select_k[{i}]: {k:,} is more than the number of latents of "
                f"{enumerated(beyond, 3)}: all are kept"
            )
