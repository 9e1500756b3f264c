"""Image reports at the end of a run: one per SAE with codes; a failure does not affect the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from saefari.config import DatasetSpec, parse_config
from saefari.pipeline.execute.image_reports import image_reports
from saefari.pipeline.execute.run_plan import _report_images
from saefari.pipeline.execute.run_report import Report, describe_report
from saefari.pipeline.plan.plan import DatasetPlan, ModelPlan, Plan
from saefari.pipeline.plan.saes import PlannedSae
from saefari.saes.ref import SaeRef
from saefari.store import Layout, Manifest
from tests.store.image_tree import DATASET, LAYER, MODEL, WIDTH, ImageRow, write_images


def plan_over(output: Path, *, random: bool = False) -> Plan:
    config = parse_config(
        {"models": [{"name": "m", "layers": [1], "widths": ["tiny"]}], "datasets": [{"name": "d", "text_field": "t"}]}
    )
    model = ModelPlan("m/vit", MODEL, "vit", "patches", None, (PlannedSae(SaeRef(LAYER, WIDTH), None, random),))
    spec = DatasetSpec(name="d", image_field="image")
    return Plan(config, Layout.below(output), [model], [DatasetPlan(spec, DATASET)])


@pytest.fixture
def codes(tmp_path: Path) -> Path:
    rows = [ImageRow(np.array([[1.0 + i, 0]]), [0], pixels=np.full((2, 2, 3), i, np.uint8)) for i in range(4)]
    return write_images(tmp_path, rows, (1, 1))


def test_folder_of_a_report(tmp_path: Path, codes: Path) -> None:
    report = Report()
    _report_images(plan_over(tmp_path, random=True), report)
    assert report.failures == []
    assert f": {tmp_path / 'reports/images'}" in describe_report(plan_over(tmp_path), report, ["extract"])
    folder = tmp_path / "reports/images" / MODEL / DATASET / "train" / f"layer_{LAYER}" / WIDTH
    assert sorted(path.name for path in folder.iterdir()) == [
        "heat_maps.png",
        "top_images.csv",
        "top_images.json",
        "top_images.png",
    ]
    assert [path.name for path in folder.parent.iterdir()] == [WIDTH]


def test_no_report_without_codes_or_images(tmp_path: Path, codes: Path) -> None:
    (one,) = image_reports(plan_over(tmp_path))
    assert one.title == f"{MODEL} layer {LAYER}, SAE {WIDTH}, {DATASET}"
    assert list(image_reports(plan_over(tmp_path / "nothing"))) == []
    manifest = Manifest.load(codes)
    assert manifest is not None
    manifest.n_rows += 1
    manifest.save(codes)
    assert list(image_reports(plan_over(tmp_path))) == []


def test_a_failure_is_recorded(tmp_path: Path, codes: Path) -> None:
    (codes / "shard-00000.npz").write_bytes(b"damaged")
    report = Report()
    _report_images(plan_over(tmp_path), report)
    ((what, why, _),) = report.failures
    assert what == f"image report, {MODEL} layer {LAYER}, SAE {WIDTH}, {DATASET}"
    assert "does not match its recorded hash: run the extraction again" in why
