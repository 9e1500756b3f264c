"""Check that stored features match the configuration, before classification."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from saefari.errors import SaefariError
from saefari.extract.freeze_split import prepare_split, split_settings
from saefari.extract.frozen_rows import rows_wanted
from saefari.pipeline.execute import build_jobs
from saefari.pipeline.execute.dependents import lost_work, without_features, without_rows
from saefari.pipeline.plan.plan import DatasetPlan, ModelPlan, Plan
from saefari.pipeline.plan.saes import PlannedSae
from saefari.saes.identity import sae_settings
from saefari.store import Failure, Manifest, codes_folder, hidden_folder, read_samples_record, read_split_record
from saefari.store.files import read_json
from saefari.store.layout import SAE_QUALITY
from saefari.store.manifest import differences

_WAY_OUT = "run `python run_experiments.py --extract-only` first"


def verify_features(plan: Plan) -> tuple[Plan, list[Failure]]:
    """Return the plan without features that are missing or have other settings, and those as failures."""
    failures: list[Failure] = []

    def drop(name: str, reason: str, without: Plan) -> Plan:
        """Record why a part of the plan cannot be used; return the plan without it."""
        failures.append(Failure(name, reason, tuple(lost_work(plan, without, ["classify"]))))
        return without

    for model in plan.models:
        for sae in model.saes:
            if (reason := _sae_mismatch(plan, model, sae)) is not None:
                name = f"{model.title} layer {sae.ref.layer} {sae.ref.width}"
                plan = drop(name, reason, _without_sae(plan, model, sae))
    for model, dataset in list(plan.pairs()):
        name = build_jobs.title(model, dataset, dataset.spec.split)
        if (reason := _rows_mismatch(plan, model, dataset)) is not None:
            plan = drop(name, reason, without_rows(plan, dataset, model))
        elif not _is_extracted(plan, model, dataset):
            plan = drop(name, f"was not extracted yet: {_WAY_OUT}", without_features(plan, model, dataset))
    return plan, failures


def _without_sae(plan: Plan, model: ModelPlan, sae: PlannedSae) -> Plan:
    models = [
        replace(one, saes=tuple(other for other in one.saes if one.slug != model.slug or other != sae))
        for one in plan.models
    ]
    return replace(plan, models=models)


def _is_extracted(plan: Plan, model: ModelPlan, dataset: DatasetPlan) -> bool:
    """Return whether a model's features of a dataset exist; incomplete ones are reported on reading."""
    layers = {sae.ref.layer for sae in model.saes}
    folders = [hidden_folder(plan.samples(model, dataset, s), layer) for s in dataset.splits for layer in layers]
    return not folders or any(Manifest.load(folder) is not None for folder in folders)


def _sae_mismatch(plan: Plan, model: ModelPlan, sae: PlannedSae) -> str | None:
    """Return why an SAE's codes may not be used; None if they may."""
    if sae.training is not None:
        job = build_jobs.sae_job(sae)
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
    """Return why a dataset prepared for a model may not be used; None if it may.

    A split with other settings is made again.
    """
    for split in dataset.splits:
        folder = plan.samples(model, dataset, split)
        record = read_samples_record(folder)
        if record is None:
            return f"{folder}: the samples are missing or damaged: {_WAY_OUT}"
        changed = differences(*_comparable(record["settings"], record["n_rows"], plan, model, dataset))
        if changed:
            return _explain(f"{folder} was made", changed)
        if (reason := _outliers_mismatch(folder, model)) is not None:
            return reason
    settings = plan.config.settings
    folder = plan.samples(model, dataset, dataset.spec.split)
    wanted = (folder, build_jobs.test_folder(plan, model, dataset), settings.test_size, settings.seed)
    stored = read_split_record(folder)
    trained_on_rows = any(sae.training is not None and sae.training.corpus is None for sae in model.saes)
    # Refuse before the split is rewritten; otherwise a second run would find no difference.
    if trained_on_rows and stored is not None and stored["settings"] != split_settings(*wanted):
        return f"{folder}: the split changed, and the SAEs were trained on rows that are now test rows: extract again"
    prepare_split(*wanted)
    return None


def _outliers_mismatch(samples: Path, model: ModelPlan) -> str | None:
    """Return why hidden states and codes may not be used (another outlier threshold); None if they may."""
    for layer in sorted({sae.ref.layer for sae in model.saes} if model.outliers.known else ()):
        folder = hidden_folder(samples, layer)
        manifest = Manifest.load(folder)
        stored = manifest.settings.get("outlier_norm") if manifest else model.outliers.norm
        if changed := differences({"outlier_norm": stored}, {"outlier_norm": model.outliers.norm}):
            return _explain(f"{folder} was made", changed)
    return None


def _comparable(
    stored: dict[str, Any], n_stored: int, plan: Plan, model: ModelPlan, dataset: DatasetPlan
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings in samples.json and those of the configuration, without opening the dataset.

    A configuration without a row limit accepts any number of stored rows.
    """
    settings, rows = plan.config.settings, rows_wanted(plan.config.settings)
    wanted: dict[str, Any] = {
        "fields": dataset.spec.model_dump(include=set(stored["fields"])),
        "max_length": settings.max_length,
        "include_special_tokens": settings.include_special_tokens,
        "positions": model.positions,
        "prepend_bos": model.bos.change if model.bos.known else stored.get("prepend_bos"),
    }
    stored = {"positions": "tokens", "prepend_bos": None, **stored}  # defaults are not stored
    if rows is not None and (stored["sampled"] is not None or rows < n_stored):
        wanted["sampled"] = {"rows": rows, "seed": settings.seed}
    shared = [key for key in wanted if key in stored]  # samples of images lack the keys of texts
    return {key: stored[key] for key in shared}, {key: wanted[key] for key in shared}


def _explain(stored: str, changed: list[str]) -> str:
    return f"{stored} with other settings (stored -> wanted): {'; '.join(changed)}; extract again, or set them back"
