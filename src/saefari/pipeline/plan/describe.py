"""Format a plan as text, for `--dry-run`."""

from __future__ import annotations

from pathlib import Path

from saefari.pipeline.plan.check_saes import latent_warnings
from saefari.pipeline.plan.describe_explanations import describe_explanations
from saefari.pipeline.plan.plan import ModelPlan, Plan
from saefari.pipeline.plan.saes import PlannedSae
from saefari.pipeline.plan.vision_model import describe_vision
from saefari.store import Manifest, codes_folder
from saefari.store.layout import SAE_QUALITY


def describe_plan(plan: Plan, *, train: bool, extract: bool, classify: bool, explain: bool = False) -> str:
    """Format models, SAEs, datasets and output folders, with the state of what is stored."""
    lines = ["Configuration OK. Planned work:", ""]
    if plan.vision is not None:
        lines += describe_vision(plan.vision)
    for model in plan.models:
        lines.append(f"model {model.title}" + (f" (revision {model.revision})" if model.revision else ""))
        if model.bos.change is not None:
            lines.append(
                f"  {'BOS before every text' if model.bos.change else 'no BOS before texts'} (unlike the tokenizer)"
            )
        lines += [f"  {_sae(sae)}" for sae in model.saes]
    for dataset in plan.datasets:
        config = f", config {dataset.spec.config_name}" if dataset.spec.config_name else ""
        test = f"test split {dataset.spec.test_split}" if dataset.spec.test_split else _test_share(plan)
        texts = f", text_field {dataset.distinguishing_field}" if dataset.distinguishing_field else ""
        lines.append(f"dataset {dataset.spec.name}{config}, split {dataset.spec.split}{texts}, {test}")
    lines.append("")
    if train and plan.trained():
        lines.append(_training(plan))
    if extract:
        lines += _extraction(plan)
    if classify:
        lines.append(f"classifiers and results in {plan.layout.classifications}, summary in {plan.layout.summary}")
    if explain:
        lines += describe_explanations(plan)
    warnings = [*plan.warnings, *(latent_warnings(plan) if classify else [])]
    lines += [f"warning: {warning}" for warning in warnings]
    lines += [f"note: {note}" for note in plan.notes]
    return "\n".join(lines)


def _sae(sae: PlannedSae) -> str:
    ref = sae.ref
    if sae.training is not None:
        corpus = f" on {sae.training.corpus.name}" if sae.training.corpus is not None else ""
        source = f"trained in the run ({sae.training.architecture}{corpus}), stored in {ref.path}"
    elif ref.path is not None:
        source = f"folder {ref.path}"
    else:
        source = f"{ref.release}, {ref.sae_id}"
    facts = [f"reads {ref.hook or 'the hook point in its metadata'}"]
    if ref.hook_is_assumed:
        facts[0] += " (assumed from layers and settings.sae_location: its metadata names no hook point)"
    if ref.expected_l0 is not None:
        facts.append(f"L0 {ref.expected_l0:g}")
    if ref.expected_variance_explained is not None:
        facts.append(f"explains {ref.expected_variance_explained:g} of the variance")
    if ref.neuronpedia_id is not None:
        facts.append(f"Neuronpedia {ref.neuronpedia_id}")
    if sae.random:
        facts.append("with a random control")
    return f"layer {ref.layer}, width {ref.width}: {source}; {', '.join(facts)}"


def _test_share(plan: Plan) -> str:
    return f"{plan.config.settings.test_size:.0%} of it held out"


def _training(plan: Plan) -> str:
    folders = [Path(sae.ref.path or "") for sae in plan.trained()]
    trained = sum((folder / SAE_QUALITY).is_file() for folder in folders)
    return f"SAEs to train: {len(folders)} ({trained} already trained), in {plan.layout.saes}"


def _extraction(plan: Plan) -> list[str]:
    lines = []
    for model in plan.models:
        for dataset in plan.datasets:
            for split in dataset.splits:
                folder = plan.samples(model, dataset, split)
                lines.append(f"extract to {folder}: {_state(folder, model)}")
    return lines


def _state(folder: Path, model: ModelPlan) -> str:
    manifests = [Manifest.load(codes_folder(folder, sae.ref.layer, sae.ref.width)) for sae in model.saes]
    complete = sum(manifest is not None and manifest.complete for manifest in manifests)
    if not any(manifests):
        return "nothing stored yet"
    return f"{complete} of {len(manifests)} SAEs complete"
