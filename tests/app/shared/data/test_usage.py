"""Classifiers that use a latent, and nearest latents."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from app.pages.latent.parts.sections import nearest_latents
from app.shared.data.latents.usage import times_used, usage
from app.shared.data.tree import OutputTree
from saefari.errors import StoreError
from saefari.store import Layout, write_json
from saefari.store.results import SUMMARY_COLUMNS


def write_result(output: Path, model: str, width: str) -> None:
    """A probe that uses latents 4 and 7; a tree that splits on 7 twice and on 9, which has no recorded importance."""
    row = dict.fromkeys(SUMMARY_COLUMNS) | {"model": "m/tiny", "dataset": "d", "split": "train", "classifier": "linear"}
    del row["folder"]
    features = [{"feature": 4, "weight": 0.5}, {"feature": 7, "weight": -0.25}]
    nodes = [{"feature": 7, "left": 1, "right": 2}, {"feature": 7, "left": 3, "right": 4}, {"feature": 9}, {}, {}]
    classifiers = {
        "linear": {"top_features": {"yes": features, "no": features[:1]}},
        "tree": {"top_features": [{"feature": 7, "importance": 1.0}], "nodes": nodes},
    }
    record = {"classes": ["yes", "no"], "classifiers": classifiers, "settings": {}, "summary": [row]}
    folder = Layout.below(output).results(model, "d", None, "train", "layer_1", width, "setting")
    write_json(folder / "results.json", record)


def write_sae(output: Path, name: str, decoder: np.ndarray) -> None:
    folder = Layout.below(output).sae("m--tiny", 1, name)
    write_json(folder / "quality.json", {"fvu": 0.1})
    save_file({"W_dec": decoder.astype(np.float32)}, folder / "sae_weights.safetensors")


def test_only_results_of_the_sae_count(tmp_path: Path) -> None:
    write_sae(tmp_path, "3k", np.eye(10))
    for model, width in (("m--tiny", "3k"), ("m--tiny", "3k-random"), ("other", "3k")):
        write_result(tmp_path, model, width)
    index = OutputTree(tmp_path).index()
    (sae,) = index.saes.values()
    found = usage(sae, 7, index)
    assert (found.n_read, found.n_results) == (1, 1)
    probe, tree = (found.table[found.table["classifier"] == name].iloc[0] for name in ("linear", "tree"))
    assert (probe["class"], probe["amount"], probe["rank"]) == ("yes", -0.25, 2)
    assert (tree["kind"], tree["amount"], tree["splits"]) == ("importance", 1.0, 2)
    assert sorted(usage(sae, 4, index).table["class"]) == ["no", "yes"]
    assert usage(sae, 9, index).table["amount"].isna().all()
    assert times_used(sae, 10, index).tolist() == [0, 0, 0, 0, 1, 0, 0, 1, 0, 1]


def test_nearest_latents_are_by_angle_not_length(tmp_path: Path) -> None:
    write_sae(tmp_path, "3k", np.array([[1, 0], [100, 100], [3, 0.1], [-1, 0], [0, 0]]))
    (sae,) = OutputTree(tmp_path).index().saes.values()
    assert sae.folder is not None
    found = nearest_latents(sae.folder, 0)
    assert [latent for latent, _ in found] == [2, 1, 4, 3]
    assert found[1][1] == pytest.approx(2**-0.5)
    with pytest.raises(StoreError, match="not 5"):
        nearest_latents(sae.folder, 5)
    (sae.folder / "sae_weights.safetensors").write_bytes(b"broken")
    with pytest.raises(StoreError, match="W_dec"):
        nearest_latents(sae.folder, 1)
