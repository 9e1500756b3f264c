"""Peak memory of extraction at 10,000 and at 100,000 rows, each in its own process; and how fast --help comes."""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
ROWS = (10_000, 100_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", nargs=2, metavar=("FOLDER", "ROWS"))
    flags = parser.parse_args()
    if flags.child:
        _extract(Path(flags.child[0]), int(flags.child[1]))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        save_model(folder / "model")
        peaks = [_peak(folder, n_rows) for n_rows in ROWS]
    for n_rows, peak in zip(ROWS, peaks, strict=True):
        print(f"peak memory of extraction, {n_rows:7,} rows: {peak:7.0f} MB")
    print(f"difference {peaks[1] - peaks[0]:+.0f} MB                       (goal: within 200 MB)")
    print(f"run_experiments.py --help: {_help():.2f} s          (goal: under 1 s)")


def _peak(folder: Path, n_rows: int) -> float:
    """Megabytes."""
    command = [sys.executable, __file__, "--child", str(folder), str(n_rows)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1])


def _extract(folder: Path, n_rows: int) -> None:
    from saefari.config import parse_config
    from saefari.pipeline.plan import make_plan
    from saefari.pipeline.run import run_plan

    data = folder / f"rows-{n_rows}.jsonl"
    generator = np.random.default_rng(0)
    with data.open("w") as file:
        for i in range(n_rows):
            words = generator.integers(0, 1000, generator.integers(20, 60))
            file.write(json.dumps({"text": " ".join(f"w{word}" for word in words), "label": str(i % 8)}) + "\n")
    config = parse_config(
        {
            "settings": {
                "base_save_dir": str(folder / f"{n_rows}" / "activations"),
                "base_classify_dir": str(folder / "c"),
            },
            "models": [
                {
                    "name": str(folder / "model"),
                    "layers": [1],
                    "widths": ["1k"],
                    "sae_train": {"architecture": "topk", "k": 16, "n_positions": 20_000},
                }
            ],
            "datasets": [{"name": str(data), "text_field": "text"}],
        }
    )
    report = run_plan(make_plan(config), classifying=False)
    if report.failures:
        raise SystemExit(report.failures)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def save_model(folder: Path) -> None:
    """A random GPT-2 of two narrow blocks: the memory asked about is that of the rows, not of the model."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2Model, PreTrainedTokenizerFast

    vocabulary = {"<unk>": 0, **{f"w{i}": i + 1 for i in range(1000)}}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", model_max_length=128).save_pretrained(folder)
    config = GPT2Config(
        vocab_size=1001, n_embd=64, n_layer=2, n_head=2, n_positions=128, bos_token_id=0, eos_token_id=0
    )
    GPT2Model(config).save_pretrained(folder)


def _help() -> float:
    """Seconds, the median of five."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, ROOT / "run_experiments.py", "--help"], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return median(times)


if __name__ == "__main__":
    main()
