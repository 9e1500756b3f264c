"""Outdated features and results are not used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from saefari.classify import result_files as record
from saefari.classify.run import run_classify_job
from saefari.config import ClassificationParams

from .conftest import MakeJob, every_fifth_tests, make_rows, write_rows


@pytest.mark.parametrize("source", ["sae", "hidden"])
def test_features_of_other_rows_of_the_same_number_are_an_error(source: str, make_job: MakeJob, tmp_path: Path) -> None:
    for name, seed in (("other", 5), ("all", 1)):
        write_rows(tmp_path / name, make_rows(240, 4, seed=seed), every_fifth_tests(240, 4))
    (tmp_path / "all" / "layer_3").rename(tmp_path / "unused")
    (tmp_path / "other" / "layer_3").rename(tmp_path / "all" / "layer_3")
    outcome = run_classify_job(make_job(source, samples=tmp_path / "all"))
    assert outcome.rows == []
    assert (
        "extracted from other rows than the current samples.parquet: run the extraction again"
        in outcome.failures[0].reason
    )


def test_features_of_a_test_split_are_checked_too(make_job: MakeJob, tmp_path: Path) -> None:
    write_rows(tmp_path / "train", make_rows(240, 4, seed=1), np.zeros(240, dtype=np.int8))
    for name, seed in (("other", 5), ("test", 2)):
        write_rows(tmp_path / name, make_rows(40, 4, seed=seed), np.ones(40, dtype=np.int8))
    (tmp_path / "test" / "layer_3").rename(tmp_path / "unused")
    (tmp_path / "other" / "layer_3").rename(tmp_path / "test" / "layer_3")
    outcome = run_classify_job(make_job(samples=tmp_path / "train", test_samples=tmp_path / "test"))
    assert str(tmp_path / "test") in outcome.failures[0].reason


def test_damaged_samples_are_an_error(make_job: MakeJob, tmp_path: Path) -> None:
    write_rows(tmp_path, make_rows(240, 4, seed=1), every_fifth_tests(240, 4))
    (tmp_path / "samples.json").unlink()
    outcome = run_classify_job(make_job("tfidf", samples=tmp_path))
    assert "samples are missing or damaged" in outcome.failures[0].reason


def test_a_failed_setting_keeps_no_old_results(make_job: MakeJob) -> None:
    job = make_job(params=ClassificationParams(binarize_values=[5000.0]))
    old = job.out / "sum_top0_bin-5000.0" / "results.json"
    old.parent.mkdir(parents=True)
    old.write_text("{}")
    assert "no feature varies" in run_classify_job(job).failures[0].reason
    assert not old.exists()


def test_a_failed_job_keeps_no_old_results(make_job: MakeJob) -> None:
    job = make_job()
    run_classify_job(job)
    changed = make_job(seed=1, features="layer_9/3k")
    assert run_classify_job(changed).failures
    assert not (job.out / "sum_top0_bin-none" / "results.json").exists()


def test_a_kill_while_writing_leaves_no_old_results(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    job = make_job()
    run_classify_job(job)
    monkeypatch.setattr(record, "write_parquet", kill)
    with pytest.raises(Killed):
        run_classify_job(make_job(seed=1))
    assert not (job.out / "sum_top0_bin-none" / "results.json").exists()
