"""An output tree of a sweep of SAEs, with results of classifiers on their codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from saefari.report.results.summary import write_summary
from saefari.store import Layout, write_json

MODEL = "org--small-model"
D_SAE = 512


def write_sae(
    output: Path,
    name: str,
    l0: float | None = 16.0,
    fvu: float | None = 0.2,
    *,
    architecture: str = "batchtopk",
    layer: int = 3,
    model: str = MODEL,
    settings: dict[str, Any] | None = None,
    **changes: Any,
) -> Path:
    """quality.json and density.npz of one SAE; changes: of the record."""
    folder = Layout.below(output).sae(model, layer, name)
    draw = np.random.default_rng(sum(map(ord, name)))
    log10 = draw.normal(-2.2, 0.5, D_SAE).clip(-4, -0.1)
    log10[: D_SAE // 10] = draw.normal(-4.6, 0.1, D_SAE // 10)
    counts = np.round(10**log10 * 100_000).astype(np.int64)
    counts[-4:] = 0
    steps = np.linspace(0.02, 1, 50)
    start = l0 or 16.0
    record = {
        "settings": {
            "architecture": architecture, "d_sae": D_SAE, "k": 32, "target_l0": None, "l1_coefficient": 1.0,
            "l0_coefficient": 1.0, "lr": 3e-3, "hook": f"blocks.{layer}.hook_resid_post", "model": {"name": model},
        } | (settings or {}),
        "training": {"n_positions": 100_352, "n_steps": 98},
        "fvu": fvu, "explained_variance": None if fvu is None else 1 - fvu, "mse": 0.01, "l0": l0, "l1": 12.5,
        "dead_fraction": 4 / D_SAE, "dense_fraction": 0.01, "cosine": 0.9, "n_positions": 32_768,
        "ultra_low_density": {"share": 0.1, "gap": [-4.3, -4.0]},
        "cross_entropy": {"clean": 3.0, "spliced": 3.2, "zero": 9.0, "recovered": 5.8 / 6, "n_tokens": 4096},
        "curves": {
            "positions": (steps * 100_352).round().tolist(),
            "fvu": ((fvu or 0.2) + np.exp(-8 * steps)).tolist(),
            "l0": (start * (1 + 20 * np.exp(-10 * steps))).tolist(),
            "dead": (0.1 * steps).tolist(),
            "mse": (0.01 + 0.1 * np.exp(-8 * steps)).tolist(),
        },
    }  # fmt: skip
    write_json(folder / "quality.json", record | changes)
    with np.errstate(divide="ignore"):
        density = np.log10(counts / 100_000).astype(np.float32)
    np.savez(folder / "density.npz", counts=counts, n_positions=100_000, log10_density=density)
    return folder


def write_score(
    output: Path,
    name: str,
    cv: float | None,
    test: float = 0.5,
    *,
    source: str = "sae",
    layer: int | None = 3,
    model: str = MODEL,
    dataset: str = "news",
    setting: str = "sum",
    folds: list[float] | None = None,
    **changes: Any,
) -> None:
    """results.json of one setting with a linear probe; folds: by default 0.01 around `cv`; changes: of its row."""
    place = ["baselines", dataset, "train", source] if layer is None else [model, dataset, "train", f"layer_{layer}"]
    folder = Layout.below(output).classifications.joinpath(*place, name, setting)
    row = {
        "model": "" if layer is None else model.replace("--", "/"), "model_type": "llm", "dataset": dataset,
        "config": "", "split": "train", "layer": layer, "width": name if "sae" in source else "", "source": source,
        "pooling": setting, "top_n": 0, "binarize": None, "select_k": None, "classifier": "linear", "macro_f1": test,
        "macro_f1_low": test - 0.02, "macro_f1_high": test + 0.02, "accuracy": test, "roc_auc": 0.9, "cv_macro_f1": cv,
        "n_train": 800, "n_test": 200, "n_features": 60, "seconds": 1.0,
    } | changes  # fmt: skip
    folds = folds or [(cv or 0.0) + step for step in (-0.01, 0.0, 0.01)]
    record = {"macro_f1": test, "cross_validation": {"macro_f1": cv, "folds": folds}}
    write_json(folder / "results.json", {"classifiers": {"linear": record}, "summary": [row]})


def write_summary_of(output: Path) -> None:
    """summary.csv of all results, as the pipeline writes it."""
    write_summary(Layout.below(output).summary)


def write_sweep(output: Path, layers: tuple[int, ...] = (3,), datasets: tuple[str, ...] = ("news",)) -> None:
    """24 SAEs a layer of four architectures, classified on every dataset, with baselines."""
    draw = np.random.default_rng(0)
    for layer in layers:
        for architecture, lift in (("batchtopk", 1.0), ("topk", 1.08), ("jumprelu", 0.97), ("standard", 1.25)):
            for l0 in (8, 16, 32, 64, 96, 128):
                name = f"{architecture}-k{l0}"
                fvu = lift * (0.1 + 0.6 / l0**0.5) * (1 + 0.1 * layer)
                write_sae(output, name, l0 * float(draw.uniform(0.95, 1)), fvu, architecture=architecture, layer=layer)
                for dataset in datasets:
                    cv = 0.75 - 0.3 * fvu - 0.0004 * l0 + float(draw.normal(0, 0.01))
                    write_score(output, name, cv, cv - 0.01, layer=layer, dataset=dataset)
                    write_score(output, name, cv - 0.02, cv + 0.03, layer=layer, dataset=dataset, setting="max")
        for dataset in datasets:
            write_score(output, "hidden", 0.71, 0.7, source="hidden", layer=layer, dataset=dataset)
    for dataset in datasets:
        write_score(output, "tfidf", 0.66, 0.67, source="tfidf", layer=None, dataset=dataset)
    write_summary_of(output)
