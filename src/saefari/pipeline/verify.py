"""Is what lies in the store what the configuration means? Asked before anything is classified."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from saefari.errors import SaefariError
from saefari.extract.prepare import rows_wanted
from saefari.extract.split import prepare_split
from saefari.pipeline import stages
from saefari.pipeline.plan import DatasetPlan, ModelPlan, Plan
from saefari.pipeline.planned_saes import PlannedSae
from saefari.saes.settings import sae_settings
from saefari.store import Manifest, codes_folder, read_samples_record, read_split_record
from saefari.store.files import read_json
from saefari.store.layout import SAE_QUALITY
from saefari.store.manifest import differences

Mismatch = tuple[str, str]
"""What does not fit, and why."""


def verified(plan: Plan) -> tuple[Plan, list[Mismatch]]:
    """The plan without what the store holds under other settings, and what that was.

    Data that is missing altogether stays in the plan: reading it says what to run.
    """
    mismatches: list[Mismatch] = []
    dropped, kept = set(plan.dropped), []
    for model in plan.models:
        saes = []
        for sae in model.saes:
            reason = _sae_mismatch(plan, model, sae)
            if reason is None:
                saes.append(sae)
            else:
                mismatches.append((f"{model.title} layer {sae.ref.layer} {sae.ref.width}", reason))
        kept.append(replace(model, saes=tuple(saes)))
    for model, dataset in plan.pairs():
        reason = _rows_mismatch(plan, model, dataset)
        if reason is not None:
            mismatches.append((stages.title(model, dataset, dataset.spec.split), reason))
            dropped.add((model.slug, dataset))
    return replace(plan, models=kept, dropped=dropped), mismatches


def _sae_mismatch(plan: Plan, model: ModelPlan, sae: PlannedSae) -> str | None:
    """Why an SAE's codes may not be used, if they may not."""
    if sae.training is not None:
        job = stages.sae_job(sae)
        record = read_json(job.folder / SAE_QUALITY) or {}
        stored = record.get("settings", {})
        changed = differences({key: stored.get(key) for key in job.settings}, job.settings) if stored else []
        if changed:
            return _explain(f"{job.folder} was trained", changed)
    for dataset in plan.datasets_of(model):
        for split in dataset.splits:
            folder = codes_folder(plan.samples(model, dataset, split), sae.ref.layer, sae.ref.width)
            manifest = Manifest.load(folder)
            if manifest is None:
                continue
            try:
                wanted = {"sae": sae_settings(sae.ref), "hook": sae.ref.hook}
            except SaefariError as error:
                return str(error)
            changed = differences({key: manifest.settings.get(key) for key in wanted}, wanted)
            if changed:
                return _explain(f"{folder} was made", changed)
    return None


def _rows_mismatch(plan: Plan, model: ModelPlan, dataset: DatasetPlan) -> str | None:
    """Why a model's view of a dataset may not be used, if it may not. A split of other settings is made anew."""
    for split in dataset.splits:
        folder = plan.samples(model, dataset, split)
        record = read_samples_record(folder)
        if record is None:
            return None  # reading it says what to run
        changed = differences(*_comparable(record["settings"], record["n_rows"], plan, model, dataset))
        if changed:
            return _explain(f"{folder} was made", changed)
    settings = plan.config.settings
    folder = plan.samples(model, dataset, dataset.spec.split)
    before = read_split_record(folder)
    after = prepare_split(folder, stages.test_folder(plan, model, dataset), settings.test_size, settings.seed)
    trained_on_rows = any(sae.training is not None and sae.training.corpus is None for sae in model.saes)
    if before is not None and before["sha256"] != after["sha256"] and trained_on_rows:
        return f"{folder}: the split changed, and the SAEs were trained on rows that are now test rows: extract again"
    return None


def _comparable(
    stored: dict[str, Any], n_stored: int, plan: Plan, model: ModelPlan, dataset: DatasetPlan
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What samples.json says, and what the configuration wants it to say, without opening the dataset.

    A configuration that limits no rows takes those that are there.
    """
    settings, rows = plan.config.settings, rows_wanted(plan.config.settings)
    wanted: dict[str, Any] = {
        "fields": dataset.spec.model_dump(include=set(stored["fields"])),
        "max_length": settings.max_length,
        "include_special_tokens": settings.include_special_tokens,
        "positions": model.positions,
    }
    stored = {"positions": "tokens", **stored}  # it stands there only where it is not the default
    if rows is not None and (stored["sampled"] is not None or rows < n_stored):
        wanted["sampled"] = {"rows": rows, "seed": settings.seed}
    said = [key for key in wanted if key in stored]  # what concerns texts is not said of images
    return {key: stored[key] for key in said}, {key: wanted[key] for key in said}


def _explain(what: str, changed: list[str]) -> str:
    return f"{what} with other settings (stored -> wanted): {'; '.join(changed)}; extract again, or set them back"
