"""Seconds to sample and explain latents lexically: all-MiniLM-L6-v2's SAE of a finished run on python-docs.

python benchmarks/lexical.py output/activations/<model>/<dataset>/train/layer_<L>/<width>
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from saefari.config.explanation import Sampling
from saefari.interp.cache.build import CacheSource, build_cache
from saefari.interp.contexts.examples import ExampleSampler
from saefari.interp.contexts.rows import TokenRows
from saefari.interp.explainers.lexical import LexicalExplainer
from saefari.interp.explainers.lexicon.background import Background


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("codes", type=Path, help="folder of the codes of one SAE")
    parser.add_argument("--latents", type=int, default=1000)
    flags = parser.parse_args()
    samples = flags.codes.parents[1]
    with tempfile.TemporaryDirectory() as folder:
        cache = build_cache(Path(folder), [CacheSource("corpus", samples, flags.codes)])
        sampler = ExampleSampler(cache, Sampling(), 0, {"corpus": TokenRows(samples)})
        start = time.perf_counter()
        background = Background((row.tokens, row.label) for row in sampler.iter_rows())
        counted = time.perf_counter() - start
        explainer = LexicalExplainer(background)
        enough = np.flatnonzero(cache.row_counts >= 20)
        latents = np.random.default_rng(0).choice(enough, min(flags.latents, len(enough)), replace=False)
        sampled = explained = 0.0
        for latent in latents.tolist():
            start = time.perf_counter()
            examples = sampler.examples(latent)
            between = time.perf_counter()
            explainer.describe(examples)
            sampled += between - start
            explained += time.perf_counter() - between
    total = counted + sampled + explained
    print(
        f"{len(latents):,} latents, {background.n_tokens:,} tokens: {total:.1f} s (background {counted:.1f}, contexts "
        f"{sampled:.1f}, explanations {explained:.1f}); goal: 60 s for 1,000 latents on 2 cores"
    )


if __name__ == "__main__":
    main()
