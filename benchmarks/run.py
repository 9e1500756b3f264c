"""Run all benchmarks one after the other, each in its own process: `make bench`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

BENCHMARKS = (
    "extraction.py",
    "encoding.py",
    "rounding.py",
    "classification.py",
    "memory.py",
    "latent_cache.py",
    "no_op.py",
    "dashboard.py",
)


def main() -> int:
    # As in a run: spinning idle threads would slow down other work.
    environment = {"OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1", **os.environ}
    failed = 0
    for name in BENCHMARKS:
        print(f"== {name}", flush=True)
        command = [sys.executable, Path(__file__).parent / name]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        print(result.stdout if result.returncode == 0 else result.stderr, flush=True)
        failed += result.returncode != 0
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
