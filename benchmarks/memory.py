"""Peak memory of extraction and classification, each in its own process, and the time of --help.

Extraction of 10,000 and 100,000 rows; classification of 20,000 rows of random codes with 65,536 latents.
"""

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
CLASSIFIED_ROWS, CLASSES = 20_000, 4
D_SAE, POSITIONS, ACTIVE, LATENTS_PER_ROW = 65_536, 30, 30, 300
_SHARD_ROWS = 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", nargs=2, metavar=("STAGE", "FOLDER"))
    parser.add_argument("--rows", type=int)
    flags = parser.parse_args()
    if flags.child:
        stage, folder = flags.child[0], Path(flags.child[1])
        {"extract": _extract, "write": _write_codes, "classify": _classify}[stage](folder, flags.rows)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        save_model(folder / "model")
        peaks = [_peak("extract", folder, n_rows) for n_rows in ROWS]
        _peak("write", folder / "codes", CLASSIFIED_ROWS)
        classified = _peak("classify", folder / "codes", CLASSIFIED_ROWS)
    for n_rows, peak in zip(ROWS, peaks, strict=True):
        print(f"peak memory of extraction, {n_rows:7,} rows: {peak:7.0f} MB")
    print(f"difference {peaks[1] - peaks[0]:+.0f} MB                       (goal: within 200 MB)")
    print(f"peak memory of classification, {CLASSIFIED_ROWS:,} rows, {D_SAE:,} latents: {classified:.0f} MB")
    print(f"run_experiments.py --help: {_help():.2f} s          (goal: under 1 s)")


def _peak(stage: str, folder: Path, n_rows: int) -> float:
    """Return the peak memory of a stage in MB."""
    command = [sys.executable, __file__, "--child", stage, str(folder), "--rows", str(n_rows)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1])


def _extract(folder: Path, n_rows: int) -> None:
    from saefari.config import parse_config
    from saefari.pipeline.execute.run_plan import run_plan
    from saefari.pipeline.plan.make_plan import make_plan

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


def _write_codes(folder: Path, n_rows: int) -> None:
    """Write codes: rows of `POSITIONS` positions with `ACTIVE` latents each, drawn from `LATENTS_PER_ROW` per row.

    Low latents are more frequent; each of the first ones is more frequent in one class.
    """
    from saefari.store import (
        Manifest,
        SamplesWriter,
        codes_arrays,
        read_samples_record,
        shard_ranges,
        write_shard,
        write_split,
    )

    generator = np.random.default_rng(0)
    with SamplesWriter(folder, {}) as writer:
        for i in range(n_rows):
            row = {"row": i, "id": str(i), "text": f"text {i}", "label": f"class {i % CLASSES}", "group": None}
            nothing: dict[str, object] = {"input_ids": [], "valid": [], "span_start": [], "span_end": []}
            writer.write({**row, "n_tokens": 0, **nothing})
    write_split(folder, (np.arange(n_rows) // CLASSES % 5 == 0).astype(np.int8), {}, [])
    samples = read_samples_record(folder)
    assert samples is not None
    manifest = Manifest("codes", {"samples": samples["sha256"]}, n_rows)
    for index, (start, stop) in enumerate(shard_ranges(n_rows, _SHARD_ROWS)):
        n_here = stop - start
        of_row = (generator.random((n_here, LATENTS_PER_ROW)) ** 3 * D_SAE).astype(np.int64)
        own = np.arange(start, stop)[:, None] % CLASSES + CLASSES * generator.integers(0, 200, (n_here, 5))
        of_row[:, :5] = np.where(generator.random(own.shape) < 0.5, own, of_row[:, :5])
        drawn = generator.integers(0, LATENTS_PER_ROW, (n_here, POSITIONS * ACTIVE))
        latents = np.take_along_axis(of_row, drawn, axis=1).reshape(-1, ACTIVE)
        latents.sort(axis=1)
        first = np.ones(latents.shape, dtype=bool)
        first[:, 1:] = np.diff(latents, axis=1) > 0
        indptr = np.concatenate([[0], np.cumsum(first.sum(axis=1))])
        values = generator.exponential(size=indptr[-1]).astype(np.float32) + 0.1
        offsets = np.arange(n_here + 1) * POSITIONS
        manifest.add(
            write_shard(
                folder / "layer_1" / "65k",
                index,
                (start, stop),
                codes_arrays(indptr, latents[first], values, offsets, D_SAE),
            )
        )
    manifest.save(folder / "layer_1" / "65k")


def _classify(folder: Path, n_rows: int) -> None:
    """Run one classify job: both classifiers on sums and counts of the codes."""
    from saefari.classify.job import ClassifyJob, JobInputs, ResultLabels
    from saefari.classify.run import run_classify_job
    from saefari.config import ClassificationParams, Settings

    job = ClassifyJob(
        source="sae",
        labels=ResultLabels(
            model="none", model_type="llm", dataset=f"{n_rows} rows", split="train", layer=1, width="65k"
        ),
        inputs=JobInputs(folder, None, ("none/rows/train",), "layer_1/65k", ""),
        params=ClassificationParams(top_n_values=[0, -1]),
        settings=Settings(),
        out=folder / "results",
    )
    outcome = run_classify_job(job)
    if outcome.failures:
        raise SystemExit(outcome.failures)


def save_model(folder: Path) -> None:
    """Save a random GPT-2 with two narrow blocks, so that rows and not the model determine the memory."""
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
    """Return the median of five times, in seconds."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, ROOT / "run_experiments.py", "--help"], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return median(times)


if __name__ == "__main__":
    main()
