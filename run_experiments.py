"""Run the experiments in conf.yaml; see `python run_experiments.py --help`."""

import sys

from saefari.pipeline.commands.cli import run_experiments

if __name__ == "__main__":
    sys.exit(run_experiments())
