"""List the image reports of a plan."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from saefari.pipeline.plan.plan import DatasetPlan, ModelPlan, Plan
from saefari.pipeline.plan.saes import PlannedSae
from saefari.store import Manifest, has_images
from saefari.store.layout import SAMPLES

if TYPE_CHECKING:
    from saefari.report.images.report import ImageReport


def image_reports(plan: Plan) -> Iterator[ImageReport]:
    """Yield one report per SAE and dataset with images; missing codes are skipped, since extraction reports them."""
    for model, dataset in plan.pairs():
        folders = [plan.samples(model, dataset, split) for split in dataset.splits]
        if all((folder / SAMPLES).exists() and has_images(folder) for folder in folders):
            for sae in model.saes:
                if all(_complete(folder / _features(sae)) for folder in folders):
                    yield _image_report(plan, model, dataset, sae)


def _image_report(plan: Plan, model: ModelPlan, dataset: DatasetPlan, sae: PlannedSae) -> ImageReport:
    from saefari.report.images.report import ImageReport

    place = (model.slug, dataset.slug, dataset.spec.config_name)
    features = _features(sae)
    return ImageReport(
        title=f"{model.slug} layer {sae.ref.layer}, SAE {sae.ref.width}, {dataset.slug}",
        features=features,
        splits=tuple(
            (plan.samples(model, dataset, split), plan.layout.image_report(*place, dataset.folder(split), features))
            for split in dataset.splits
        ),
        results=plan.layout.results(*place, dataset.folder(dataset.spec.split), features),
    )


def _features(sae: PlannedSae) -> str:
    return f"layer_{sae.ref.layer}/{sae.ref.width}"


def _complete(folder: Path) -> bool:
    manifest = Manifest.load(folder)
    return manifest is not None and manifest.complete
