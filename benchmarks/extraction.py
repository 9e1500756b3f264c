"""Speed and size of extraction relative to its limit and to a per-sample procedure, in one run.

limit: only the forward pass to the deepest layer, in the same batches, and each SAE's encoder product.
per-sample: batch size 1, one pass per layer and width, one compressed dense file per sample, on a sample of rows.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from saefari.config import DatasetSpec
from saefari.data.dataset import open_dataset
from saefari.extract.freeze_split import prepare_split
from saefari.extract.job import Cell, ExtractJob
from saefari.extract.prepare_texts import prepare_samples, samples_settings
from saefari.extract.run import run_extract
from saefari.models.batching import token_batches
from saefari.models.forward import Forward, valid_positions
from saefari.models.hooks import HookPoint
from saefari.models.source import ModelSource
from saefari.models.text_model import TextModel
from saefari.models.tokenizer import TextTokenizer
from saefari.saes.ref import SaeRef
from saefari.store import TokenisedRow, iter_token_rows

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
LAYERS = (1, 2, 3)
WIDTHS = {"2k": 2048, "3k": 3072}
L0 = 16
MAX_TOKENS = 4096


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=8000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--per-sample-rows", type=int, default=40)
    flags = parser.parse_args()
    model = TextModel.load(MODEL, device="cpu")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        refs = make_saes(model, folder)
        _prepare(folder / "rows", flags.rows)
        rows = [row for _, shard in iter_token_rows(folder / "rows") for row in shard]
        ours, limit, share = alternate(
            lambda i: _ours(model, folder / "rows", refs),
            lambda i: bare_seconds(model, rows, refs),
            flags.repeats,
        )
        dense_folder = folder / "per-sample"
        sample = rows[:: len(rows) // flags.per_sample_rows][: flags.per_sample_rows]
        per_row = _per_sample(model, sample, refs, dense_folder)
        ours_per_row = ours / len(rows)
        n_positions = sum(len(row.valid) for row in rows)
        print(f"rows {len(rows)}, positions {n_positions}, layers {LAYERS}, widths {tuple(WIDTHS)}, L0 about {L0}")
        print(f"extraction           {ours:8.2f} s   {n_positions / ours:8.0f} positions/s")
        print(f"limit                {limit:8.2f} s   {n_positions / limit:8.0f} positions/s")
        print(f"extraction reaches   {share:8.2f} of the limit           (goal: at least 0.85)")
        print(f"per-sample procedure {per_row / ours_per_row:8.1f} times our time per row   (goal: at least 12)")
        _disk(folder / "rows", dense_folder, rows, sample)


def make_saes(model: TextModel, folder: Path) -> list[SaeRef]:
    """Save JumpReLU SAEs with random directions and thresholds that give the L0 of a trained SAE."""
    from sae_lens import JumpReLUSAE, JumpReLUSAEConfig
    from sae_lens.saes.sae import SAEMetadata

    sample = _sample(model)
    refs = []
    for layer in LAYERS:
        for width, d_sae in WIDTHS.items():
            hook = HookPoint(layer, "resid_post")
            config = JumpReLUSAEConfig(d_in=model.d_model, d_sae=d_sae, metadata=SAEMetadata(hook_name=hook.name))
            torch.manual_seed(layer)
            sae = JumpReLUSAE(config)
            with torch.no_grad():
                sae.b_dec.copy_(sample[hook].mean(0))
                pre = sae.process_sae_in(sample[hook]) @ sae.W_enc
                sae.threshold.copy_(pre.topk(max(1, round(len(pre) * L0 / d_sae)), dim=0).values[-1])
            path = folder / "saes" / f"{layer}-{width}"
            sae.save_model(str(path))
            refs.append(SaeRef(layer, width, path=str(path), hook=hook.name))
    return refs


def _sample(model: TextModel) -> dict[HookPoint, torch.Tensor]:
    texts = [example.text or "" for example, _ in zip(_dataset().rows(), range(128), strict=False)]
    tokens = TextTokenizer.load(MODEL).tokenize(texts, 128)
    rows = [TokenisedRow(t.input_ids, t.valid) for t in tokens]
    hooks = [HookPoint(layer, "resid_post") for layer in LAYERS]
    batches = [states for _, _, states in Forward(model, MAX_TOKENS)(rows, hooks)]
    return {hook: torch.cat([states[hook] for states in batches])[:4096] for hook in hooks}


def _dataset() -> Any:
    return open_dataset(DatasetSpec(name="python-docs", text_field="text"), "train")


def _prepare(folder: Path, n_rows: int) -> None:
    dataset, tokenizer = _dataset(), TextTokenizer.load(MODEL)
    prepare_samples(
        folder, dataset, tokenizer, samples_settings(dataset, n_rows, 0, 128, False, tokenizer.digest), True
    )
    prepare_split(folder, None, 0.2, 0)


def alternate(ours: Callable[[int], float], limit: Callable[[int], float], repeats: int) -> tuple[float, float, float]:
    """Return the medians of both and of limit / ours, measured alternately so that drift affects both."""
    pairs = [(ours(i), limit(i)) for i in range(repeats + 1)][1:]
    return median(a for a, _ in pairs), median(b for _, b in pairs), median(b / a for a, b in pairs)


def _ours(model: TextModel, samples: Path, refs: list[SaeRef]) -> float:
    job = ExtractJob(
        title="benchmark",
        model=ModelSource("llm", MODEL, dtype="float32", device="cpu"),
        samples=samples,
        calibration=samples,
        images=None,
        cells=tuple(Cell(ref, trained=True) for ref in refs),
        encode=True,
        store_positions=False,
        max_tokens=MAX_TOKENS,
        max_sequences=None,
        seed=0,
        overwrite=False,
    )
    for manifest in samples.rglob("manifest.json"):
        manifest.unlink()
    start = time.perf_counter()
    run_extract(job, lambda: model)
    return time.perf_counter() - start


def bare_seconds(model: TextModel, rows: list[TokenisedRow], refs: list[SaeRef]) -> float:
    """Return the seconds of the forward passes and of every SAE's encoder product."""
    hooks = [HookPoint(layer, "resid_post") for layer in LAYERS]
    weights = [(HookPoint.parse(str(ref.hook)), torch.randn(model.d_model, WIDTHS[ref.width])) for ref in refs]
    lengths = np.asarray([len(row.input_ids) for row in rows])
    outputs = {width: torch.empty(512, d_sae) for width, d_sae in WIDTHS.items()}
    by_width = {w.shape[1]: outputs[ref.width] for ref, (_, w) in zip(refs, weights, strict=True)}
    start = time.perf_counter()
    for batch in token_batches(lengths, MAX_TOKENS):
        captured = model.capture([rows[i].input_ids for i in batch], hooks)
        where, _ = valid_positions([rows[i].valid for i in batch], next(iter(captured.values())).shape[1])
        states = {hook: x.flatten(0, 1)[where] for hook, x in captured.items()}
        with torch.inference_mode():
            for hook, weight in weights:
                out = by_width[weight.shape[1]]
                for chunk in states[hook].split(len(out)):
                    torch.mm(chunk, weight, out=out[: len(chunk)])
    return time.perf_counter() - start


def _per_sample(model: TextModel, rows: list[TokenisedRow], refs: list[SaeRef], folder: Path) -> float:
    """Return seconds per row."""
    from sae_lens import SAE

    saes = [(ref.layer, SAE.load_from_disk(str(ref.path))) for ref in refs]
    folder.mkdir()
    start = time.perf_counter()
    for i, row in enumerate(rows):
        ids = torch.from_numpy(row.input_ids.astype(np.int64))[None]
        for number, (layer, sae) in enumerate(saes):
            with torch.no_grad():
                hidden = model.model(input_ids=ids, output_hidden_states=True).hidden_states[layer + 1]
                acts = sae.encode(hidden)
            np.savez_compressed(folder / f"{i}-{number}.npz", hidden_states=hidden.numpy(), sae_acts=acts.numpy())
    return (time.perf_counter() - start) / len(rows)


def _disk(samples: Path, dense: Path, rows: list[TokenisedRow], dense_rows: list[TokenisedRow]) -> None:
    """Print bytes per row over all layers and widths; those of dense files are scaled to the mean length of a row."""
    n_rows, n_dense = len(rows), len(dense_rows)
    longer = np.mean([row.length for row in rows]) / np.mean([row.length for row in dense_rows])
    codes = sum(path.stat().st_size for width in WIDTHS for path in samples.glob(f"layer_*/{width}/*.npz")) / n_rows
    pooled = sum(path.stat().st_size for path in samples.glob("layer_*/hidden/*.npz")) / n_rows
    everything = sum(path.stat().st_size for path in samples.rglob("*") if path.is_file()) / n_rows
    files = sum(path.stat().st_size for path in dense.iterdir()) / n_dense * longer
    print(
        f"disk, bytes per row: codes {codes:.0f}, pooled hidden states {pooled:.0f}, everything stored "
        f"{everything:.0f}, dense per-sample files {files:.0f}"
    )
    print(f"codes take           1/{files / codes:.1f} of the dense files         (goal: at most 1/20)")
    print(f"everything stored    1/{files / everything:.1f} of the dense files         (goal: at most 1/25)")


if __name__ == "__main__":
    main()
