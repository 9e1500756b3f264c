"""Speed and memory of the latent cache, and the time of one latent's contexts.

throughput: a corpus of packed contexts, encoded and cached, relative to the bare forward pass and each SAE's encoder
product in the same batches. contexts: `ExampleSampler.examples` for latents of a cache of 10 million activations.
memory: peak of building a cache, and of a corpus path with a narrow model, at two sizes, each in its own process.
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

CONTEXT = 256
D_SAE, ACTIVE = 16_384, 32
CACHED = (10_000_000, 40_000_000)
TOKENS = (750_000, 3_000_000)
_SHARD_ROWS = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", nargs=2, metavar=("STAGE", "FOLDER"))
    parser.add_argument("--size", type=int)
    parser.add_argument("--tokens", type=int, default=100_000, help="of the throughput")
    parser.add_argument("--repeats", type=int, default=3)
    flags = parser.parse_args()
    if flags.child:
        stage, folder = flags.child[0], Path(flags.child[1])
        {"write": _write_codes, "build": _build, "corpus": _corpus}[stage](folder, flags.size)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        peaks = []
        for size in CACHED:
            _child("write", folder / str(size), size)
            peaks.append(_child("build", folder / str(size), size))
        _contexts(folder / str(CACHED[0]))
        _show("a cache", CACHED, "activations", peaks)
        _show("the corpus path", TOKENS, "tokens", [_child("corpus", folder / f"corpus-{n}", n) for n in TOKENS])
        _throughput(folder / "corpus", flags.tokens, flags.repeats)


def _show(what: str, sizes: tuple[int, int], unit: str, peaks: list[float]) -> None:
    for size, peak in zip(sizes, peaks, strict=True):
        print(f"peak memory of {what}, {size:11,} {unit}: {peak:6.0f} MB")
    print(f"difference {peaks[1] - peaks[0]:+.0f} MB     (goal: flat)")


def _child(stage: str, folder: Path, size: int) -> float:
    """Return the peak memory of a stage in MB."""
    command = [sys.executable, __file__, "--child", stage, str(folder), "--size", str(size)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1])


def _write_codes(folder: Path, n_activations: int) -> None:
    """Write contexts of `CONTEXT` words with `ACTIVE` latents at each; low latents are more frequent."""
    from saefari.store import Manifest, SamplesWriter, codes_arrays, read_samples_record, shard_ranges, write_shard

    generator, n_rows = np.random.default_rng(0), n_activations // (CONTEXT * ACTIVE)
    starts = np.arange(CONTEXT) * 6
    with SamplesWriter(folder, {}) as writer:
        for i in range(n_rows):
            text = " ".join(f"w{word:04d}" for word in generator.integers(0, 9999, CONTEXT))
            lists = {"input_ids": starts, "valid": np.arange(CONTEXT), "span_start": starts, "span_end": starts + 5}
            row = {"row": i, "id": str(i), "text": text, "label": f"class {i % 4}", "group": None, "n_tokens": CONTEXT}
            writer.write(row | lists)
    samples = read_samples_record(folder)
    assert samples is not None
    manifest = Manifest("codes", {"samples": samples["sha256"]}, n_rows)
    for index, (start, stop) in enumerate(shard_ranges(n_rows, _SHARD_ROWS)):
        n = (stop - start) * CONTEXT
        latents = np.sort((generator.random((n, ACTIVE)) ** 2 * D_SAE).astype(np.int64), axis=1)
        first = np.ones(latents.shape, dtype=bool)
        first[:, 1:] = np.diff(latents, axis=1) > 0
        indptr = np.concatenate([[0], np.cumsum(first.sum(axis=1))])
        values = generator.exponential(size=indptr[-1]).astype(np.float32) + 0.1
        arrays = codes_arrays(indptr, latents[first], values, np.arange(stop - start + 1) * CONTEXT, D_SAE)
        manifest.add(write_shard(folder / "layer_1" / "16k", index, (start, stop), arrays))
    manifest.save(folder / "layer_1" / "16k")


def _build(folder: Path, n_activations: int) -> None:
    from saefari.interp.cache.build import CacheSource, build_cache

    build_cache(folder / "cache", [CacheSource("rows", folder, folder / "layer_1" / "16k")])


def _contexts(folder: Path) -> None:
    """Print the times of single latents."""
    from saefari.config.explanation import Sampling
    from saefari.interp.cache.latent_cache import LatentCache
    from saefari.interp.contexts.examples import ExampleSampler
    from saefari.interp.contexts.rows import TokenRows

    cache = LatentCache.open(folder / "cache")
    sampler = ExampleSampler(cache, Sampling(), 0, {"rows": TokenRows(folder)})
    by_frequency = np.argsort(-cache.counts)
    start = time.perf_counter()
    sampler.examples(int(by_frequency[100]))
    first = (time.perf_counter() - start) * 1000
    times = []
    for latent in by_frequency[:: D_SAE // 200].tolist():
        start = time.perf_counter()
        sampler.examples(latent)
        times.append((time.perf_counter() - start) * 1000)
    print(
        f"contexts of one latent, {cache.counts.sum():,} activations, {len(cache.rows):,} rows, {len(times)} latents:"
    )
    print(
        f"first {first:.0f} ms, then median {median(times):.1f} ms, maximum {max(times):.1f} ms   (goal: under 50 ms)"
    )


def _corpus(folder: Path, n_tokens: int) -> None:
    """Run the corpus path with a narrow GPT-2."""
    from memory import save_model
    from sae_lens import TopKSAE, TopKSAEConfig
    from sae_lens.saes.sae import SAEMetadata

    from saefari.config.explanation import ActivationCorpus
    from saefari.interp.cache.build import CacheSource, build_cache
    from saefari.interp.cache.corpus import prepare_corpus
    from saefari.interp.cache.encode import CachedSae, EncodeJob, encode_rows
    from saefari.models.source import ModelSource
    from saefari.models.text_model import TextModel
    from saefari.saes.ref import SaeRef

    save_model(folder / "model")
    hook = "blocks.1.hook_resid_post"
    TopKSAE(TopKSAEConfig(d_in=64, d_sae=1024, k=16, metadata=SAEMetadata(hook_name=hook))).save_model(folder / "sae")
    generator = np.random.default_rng(0)
    with (folder / "corpus.jsonl").open("w") as file:
        for _ in range(n_tokens // 100):
            words = " ".join(f"w{word}" for word in generator.integers(0, 1000, 100))
            file.write(json.dumps({"text": words}) + "\n")
    model = TextModel.load(str(folder / "model"), device="cpu")
    prepare_corpus(folder / "c", ActivationCorpus(name=str(folder / "corpus.jsonl")), model.tokenizer)
    sae = CachedSae(SaeRef(1, "1k", path=str(folder / "sae"), hook=hook))
    source = ModelSource("llm", str(folder / "model"), dtype="float32", device="cpu")
    job = EncodeJob("benchmark", source, folder / "c", (sae,), max_tokens=8192)
    encode_rows(job, lambda: model)
    build_cache(folder / "cache", [CacheSource("corpus", folder / "c", job.folder(sae))])


def _throughput(folder: Path, n_tokens: int, repeats: int) -> None:
    """Print the share of the bare forward pass and encoder products that encoding and caching reach."""
    from extraction import LAYERS, MAX_TOKENS, MODEL, WIDTHS, alternate, bare_seconds, make_saes

    from saefari.config.explanation import ActivationCorpus
    from saefari.interp.cache.build import CacheSource, build_cache
    from saefari.interp.cache.corpus import prepare_corpus
    from saefari.interp.cache.encode import CachedSae, EncodeJob, encode_rows
    from saefari.models.source import ModelSource
    from saefari.models.text_model import TextModel
    from saefari.store import iter_token_rows

    model = TextModel.load(MODEL, device="cpu")
    saes = tuple(CachedSae(ref) for ref in make_saes(model, folder))
    corpus = ActivationCorpus(name="python-docs", text_field="text", context_size=CONTEXT, n_tokens=n_tokens)
    start = time.perf_counter()
    prepare_corpus(folder / "c", corpus, model.tokenizer)
    prepared = time.perf_counter() - start
    rows = [row for _, shard in iter_token_rows(folder / "c") for row in shard]
    source = ModelSource("llm", MODEL, dtype="float32", device="cpu")
    caching: list[float] = []

    def ours(turn: int) -> float:
        job = EncodeJob("benchmark", source, folder / "c", saes, max_tokens=MAX_TOKENS, into=folder / f"codes-{turn}")
        start = time.perf_counter()
        encode_rows(job, lambda: model)
        middle = time.perf_counter()
        for number, sae in enumerate(saes):
            build_cache(folder / f"cache-{turn}-{number}", [CacheSource("c", folder / "c", job.folder(sae))])
        end = time.perf_counter()
        caching.append((end - middle) / (end - start))
        return end - start

    refs = [sae.ref for sae in saes]
    seconds, bare, share = alternate(ours, lambda _: bare_seconds(model, rows, refs), repeats)
    n_positions = sum(len(row.valid) for row in rows)
    print(f"{len(rows):,} contexts of {CONTEXT} tokens, layers {LAYERS}, widths {tuple(WIDTHS)}, {len(refs)} caches")
    print(f"contexts made in     {prepared:8.2f} s")
    print(f"encoding and caching {seconds:8.2f} s   {n_positions / seconds:8.0f} positions/s")
    print(f"caching alone        {median(caching):8.1%} of it")
    print(f"bare                 {bare:8.2f} s   {n_positions / bare:8.0f} positions/s")
    print(f"reached              {share:8.2f} of bare     (goal: at least 0.85)")


if __name__ == "__main__":
    main()
