"""A classify job as data."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from saefari.classify.job import n_settings

from .conftest import MakeJob


def test_jobs_are_picklable(make_job: MakeJob) -> None:
    job = make_job()
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(n_settings, job).result() == 1
