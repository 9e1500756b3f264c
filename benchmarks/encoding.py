"""Speed of encoding with TopK SAEs relative to its limit: the encoder's matrix product and `torch.topk` alone."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import torch

from saefari.models.hooks import HookPoint
from saefari.saes.encode import encode
from saefari.saes.load import LoadedSae
from saefari.saes.ref import SaeRef

D_IN = 768
K = 32
WIDTHS = {"16k": 2**14, "65k": 2**16}
LIMIT_ROWS = (32, 64, 128, 256, 512)
"""Numbers of positions per product that are tried; the fastest is the limit."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--positions", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    flags = parser.parse_args()
    hidden = torch.randn(flags.positions, D_IN, generator=torch.Generator().manual_seed(0)).to(flags.device)
    print(f"positions {flags.positions}, d_in {D_IN}, k {K}, on {flags.device}")
    for name, d_sae in WIDTHS.items():
        loaded = _topk_sae(d_sae, flags.device)
        limits = {rows: _limit(loaded, hidden, rows) for rows in LIMIT_ROWS}
        seconds = {rows: _seconds(run, flags.device) for rows, run in limits.items()}
        best = min(seconds, key=lambda rows: seconds[rows])
        ours = partial(encode, loaded, hidden)
        pairs = [
            (_seconds(limits[best], flags.device), _seconds(ours, flags.device)) for _ in range(flags.repeats + 1)
        ][1:]
        limit, encoding = median(a for a, _ in pairs), median(b for _, b in pairs)
        share = median(a / b for a, b in pairs)
        print(f"d_sae {name}: encode    {encoding:8.3f} s   {flags.positions / encoding:8.0f} positions/s")
        print(f"d_sae {name}: limit     {limit:8.3f} s   ({best} positions in a product)")
        print(f"d_sae {name}: reaches   {share:8.2f} of the limit           (goal: at least 0.85)", flush=True)


def _topk_sae(d_sae: int, device: str) -> LoadedSae:
    from sae_lens import TopKSAE, TopKSAEConfig

    torch.manual_seed(0)
    sae: Any = TopKSAE(TopKSAEConfig(d_in=D_IN, d_sae=d_sae, k=K))
    sae.W_enc.data.normal_()
    sae.to(device).eval().requires_grad_(False)
    return LoadedSae(SaeRef(0, str(d_sae), path="sae"), sae, HookPoint(0, "resid_post"), center=False)


def _limit(loaded: LoadedSae, hidden: torch.Tensor, rows: int) -> Callable[[], None]:
    """Return a function that runs encoder product and top-k, `rows` positions at a time, with reused buffers."""
    weight = loaded.sae.W_enc
    product = torch.empty(rows, loaded.d_sae, device=hidden.device)

    def run() -> None:
        for chunk in torch.split(hidden, rows):
            torch.topk(torch.mm(chunk, weight, out=product[: len(chunk)]), K, sorted=False)

    return run


def _seconds(run: Callable[[], Any], device: str) -> float:
    start = time.perf_counter()
    with torch.inference_mode():
        run()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
