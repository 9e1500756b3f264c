"""The same rows give the same features and scores from every file format."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pyarrow as pa
import yaml

from saefari.pipeline.commands.cli import run_experiments
from tests.tiny_vision import save_vit, tinted

from .tiny import tiny_settings

Rows = list[dict[str, Any]]
Saved = tuple[Path, dict[str, str]]
"""A dataset, and the keys of its section beside `name`."""


def save_tsv(folder: Path, rows: Rows) -> Saved:
    path = folder / "texts.tsv.gz"
    pd.DataFrame(rows).to_csv(path, sep="\t", index=False)
    return path, {"text_field": "text", "label_field": "label"}


def save_array(folder: Path, rows: Rows) -> Saved:
    path = folder / "texts.json.zst"
    with pa.output_stream(str(path), compression="zstd") as file:
        nested = [{"message": {"body": row["text"]}, "meta": {"kind": row["label"]}} for row in rows]
        file.write(json.dumps(nested, indent=1).encode())
    return path, {"text_field": "message.body", "label_field": "meta.kind"}


def save_dataset(folder: Path, rows: Rows) -> Saved:
    kind = datasets.ClassLabel(names=["odd", "even"])
    features = datasets.Features({"text": datasets.Value("string"), "meta": {"kind": kind}})
    nested = [{"text": row["text"], "meta": {"kind": kind.str2int(row["label"])}} for row in rows]
    datasets.Dataset.from_list(nested, features=features).save_to_disk(folder / "saved" / "train")
    return folder / "saved", {"text_field": "text", "label_field": "meta.kind"}


def run(root: Path, raw: dict[str, Any], *flags: str) -> None:
    root.mkdir(exist_ok=True)
    (root / "conf.yaml").write_text(yaml.safe_dump(raw | {"settings": tiny_settings(root, **raw["settings"])}))
    assert run_experiments(["--config", str(root / "conf.yaml"), *flags]) == 0


def scores(root: Path) -> pd.DataFrame:
    """Those of every result."""
    columns = ["source", "classifier", "pooling", "n_train", "n_test", "macro_f1", "cv_macro_f1"]
    summary = pd.read_csv(root / "classifications" / "summary.csv")[columns]
    return summary.sort_values(columns[:3]).reset_index(drop=True)


def features(root: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(root.glob("activations/*/*/train/layer_1/*/shard-*.npz"))]


def test_texts(
    tmp_path: Path, save_tiny: Callable[..., Path], save_sae: Callable[..., Any], write_texts: Callable[..., Any]
) -> None:
    write_texts(tmp_path / "texts.jsonl", 120, longest=5)
    rows = [json.loads(line) for line in (tmp_path / "texts.jsonl").read_text().splitlines()]
    save_sae(tmp_path / "sae", "blocks.1.hook_resid_post", 32)
    sae = {"layers": [1], "widths": ["64"], "sae_path": str(tmp_path / "sae")}
    raw = {"settings": {}, "models": [{"name": str(save_tiny("gpt2")), **sae}]}
    plain = tmp_path / "plain"
    run(plain, {**raw, "datasets": [{"name": str(tmp_path / "texts.jsonl"), "text_field": "text"}]})
    assert len(features(plain)) == 2
    for save in (save_tsv, save_array, save_dataset):
        path, keys = save(tmp_path, rows)
        root = tmp_path / save.__name__
        run(root, {**raw, "datasets": [{"name": str(path), **keys}]})
        pd.testing.assert_frame_equal(scores(root), scores(plain))
        assert features(root) == features(plain)


def test_images(tmp_path: Path, save_sae: Callable[..., Any]) -> None:
    vit = save_vit(tmp_path / "tiny-vit", "vit")
    rows = []
    for i in range(40):
        content = BytesIO()
        tinted(i, "red" if i % 2 else "blue").save(content, "PNG")
        rows.append({"photo": {"bytes": content.getvalue(), "path": f"{i}.png"}, "pet": "cat" if i % 2 else "dog"})
    pd.DataFrame(rows).to_parquet(tmp_path / "pets.parquet")
    nested = datasets.Features({"scene": {"photo": datasets.Image(), "pet": datasets.Value("string")}})
    splits = {
        split: datasets.Dataset.from_list([{"scene": row} for row in rows], nested) for split in ("train", "test")
    }
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "saved")
    save_sae(tmp_path / "sae", "blocks.1.hook_resid_post", 24)
    raw = {
        "settings": {"model_type": "vit", "image_workers": 0},
        "models": [{"name": str(vit), "layers": [1], "widths": ["64"], "sae_path": str(tmp_path / "sae")}],
    }
    for root, name, inside in (("plain", "pets.parquet", ""), ("nested", "saved", "scene.")):
        keys = {"image_field": f"{inside}photo", "label_field": f"{inside}pet"}
        run(tmp_path / root, {**raw, "datasets": [{"name": str(tmp_path / name), **keys}]}, "--extract-only")
    assert features(tmp_path / "nested") == features(tmp_path / "plain")
    assert len(features(tmp_path / "plain")) == 2
