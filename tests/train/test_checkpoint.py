"""Which training a checkpoint may be taken up by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from saefari.errors import ConflictError
from saefari.train.checkpoint import Checkpoint
from saefari.train.job import SaeJob

MakeJob = Callable[..., SaeJob]


@pytest.fixture
def jobs(tmp_path: Path, make_job: MakeJob) -> list[SaeJob]:
    return [make_job(tmp_path, width=width) for width in ("32", "64")]


@pytest.fixture
def checkpoint(tmp_path: Path, jobs: list[SaeJob]) -> Checkpoint:
    """The state of both jobs."""
    found = Checkpoint(tmp_path / "checkpoint", 0.0)
    settings = {job.title: job.settings for job in jobs}
    found.save_if_due(3, lambda: ({"x": torch.arange(4)}, {"settings": settings, "step": 3}))
    return found


@pytest.mark.parametrize("wanted", [slice(0, 2), slice(0, 1)], ids=["all", "some of them"])
def test_the_state_of_these_jobs_stays(checkpoint: Checkpoint, jobs: list[SaeJob], wanted: slice) -> None:
    checkpoint.check(jobs[wanted], overwrite=False)
    state = checkpoint.load()
    assert state is not None
    assert (state[0]["x"].tolist(), state[1]["step"]) == ([0, 1, 2, 3], 3)


def test_the_state_of_other_settings_is_kept_unless_it_may_be_overwritten(
    checkpoint: Checkpoint, jobs: list[SaeJob]
) -> None:
    other = [replace(jobs[0], settings=jobs[0].settings | {"lr": 7.0}), jobs[1]]
    with pytest.raises(ConflictError, match=r"lr: .* 7\.0 now"):
        checkpoint.check(other, overwrite=False)
    assert checkpoint.load() is not None
    checkpoint.check(other, overwrite=True)
    assert checkpoint.load() is None


def test_a_state_that_lacks_a_job_is_removed(checkpoint: Checkpoint, jobs: list[SaeJob], make_job: MakeJob) -> None:
    checkpoint.check([*jobs, make_job(checkpoint.folder, width="96")], overwrite=False)
    assert checkpoint.load() is None


def test_it_is_written_no_more_often_than_asked(tmp_path: Path) -> None:
    rarely = Checkpoint(tmp_path / "rarely", 60)
    rarely.save_if_due(1, lambda: pytest.fail("the state was asked for"))
    assert rarely.load() is None
