"""Time of a run on a complete tree, relative to importing torch, transformers and scikit-learn.

The datasets are python-docs and a Parquet file of 200,000 rows; the model is tiny. Both commands are timed alternately,
each in its own process.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import yaml
from memory import save_model

ROOT = Path(__file__).resolve().parents[1]
RUNS = 5
ROWS, LABELLED = 200_000, 2_000
"""All rows are prepared and extracted, but only labelled ones are classified, which shortens building the tree."""
IMPORTS = [sys.executable, "-c", "import torch, transformers, sklearn"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of the Parquet file")
    parser.add_argument("--config", type=Path, help="time the configuration of a complete tree instead")
    flags = parser.parse_args()
    if flags.config:
        _report(flags.config.name, flags.config)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        save_model(folder / "model")
        docs = {"name": "python-docs", "text_field": "text", "label_field": "label", "group_field": "module"}
        _measure("python-docs", folder, docs)
        _measure(f"Parquet, {flags.rows:,} rows", folder, _parquet(folder, flags.rows))


def _measure(title: str, folder: Path, dataset: dict[str, Any]) -> None:
    """Build the tree of a dataset, then time the same command again."""
    out = folder / title.partition(",")[0]
    out.mkdir()
    config = out / "conf.yaml"
    sae = {"architecture": "topk", "k": 8, "n_positions": 20_000}
    raw = {
        "settings": {
            "base_save_dir": str(out / "activations"),
            "base_classify_dir": str(out / "classifications"),
            "bow_baseline": False,
            "save_plots": True,
        },
        "models": [{"name": str(folder / "model"), "layers": [1], "widths": ["64"], "sae_train": sae}],
        "datasets": [dataset],
        "classification_params": {"top_n_values": [0], "binarize_values": [None], "hidden_pooling": ["mean"]},
    }
    config.write_text(yaml.safe_dump(raw))
    _seconds(_run(config))
    _report(title, config)


def _report(title: str, config: Path) -> None:
    pairs = [(_seconds(IMPORTS), _seconds(_run(config))) for _ in range(RUNS)]
    imports, runs = (median(one) for one in zip(*pairs, strict=True))
    ratio = median(run / imported for imported, run in pairs)
    print(
        f"{title}: nothing to do in {runs:.2f} s, imports {imports:.2f} s: {ratio:.2f} times (goal: under 2)",
        flush=True,
    )


def _run(config: Path) -> list[str]:
    return [sys.executable, str(ROOT / "run_experiments.py"), "--config", str(config)]


def _seconds(command: list[str]) -> float:
    """Return the seconds of a command; its output is shown only if it fails."""
    start = time.perf_counter()
    done = subprocess.run(
        command, capture_output=True, text=True, env={"HF_HUB_OFFLINE": "1", **os.environ}, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return time.perf_counter() - start


def _parquet(folder: Path, n_rows: int) -> dict[str, Any]:
    """Write a file of random texts of 4 to 12 words."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    draw = np.random.default_rng(0)
    lengths = draw.integers(4, 13, n_rows)
    words = np.char.add("w", draw.integers(0, 1000, int(lengths.sum())).astype(str))
    texts = [" ".join(row) for row in np.split(words, np.cumsum(lengths)[:-1])]
    labels = [str(row % 2) if row < LABELLED else None for row in range(n_rows)]
    path = folder / "rows.parquet"
    pq.write_table(pa.table({"text": texts, "label": labels}), path)
    return {"name": str(path), "text_field": "text", "label_field": "label"}


if __name__ == "__main__":
    main()
