"""One-off commands: optional flags; and the executor when a process dies."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from saefari.log import logger
from saefari.pipeline.commands.cli import main
from saefari.pipeline.commands.mosaic_flags import with_hyphens
from saefari.pipeline.execute.executor import available_cores, run_in_processes, run_on_devices
from saefari.saes import entries
from saefari.store import read_result, read_summary

RELEASE = ["--sae-release", "gpt2-small-res-jb"]


@pytest.fixture
def model(
    tmp_path: Path, save_tiny: Callable[..., Path], save_sae: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Flags of a tiny model; the SAE of RELEASE at layer 1 is a local folder."""
    from sae_lens import SAE

    folder = tmp_path / "sae"
    save_sae(folder, "blocks.1.hook_resid_pre", 32)
    monkeypatch.setitem(entries._supplement()["d_model"], "gpt2-small", 32)
    monkeypatch.setattr(
        SAE, "from_pretrained", lambda release, sae_id, device, dtype: SAE.load_from_disk(folder, device, dtype=dtype)
    )
    return ["--model-name", str(save_tiny("gpt2")), "--model-type", "llm", "--layer", "1"]


@pytest.fixture
def extract(tmp_path: Path, model: list[str], write_texts: Callable[..., Any]) -> Callable[..., int]:
    """extract(name, *flags): rows of <name>.jsonl to tmp_path/activations."""

    def run(name: str, *flags: str) -> int:
        write_texts(tmp_path / f"{name}.jsonl", 120)
        place = ["--dataset-name", str(tmp_path / f"{name}.jsonl"), "--save-dir", str(tmp_path / "activations")]
        return main(["extract", *model, *RELEASE, *place, *flags])

    return run


@pytest.fixture
def classify(tmp_path: Path, model: list[str]) -> Callable[..., int]:
    """classify(*flags): with the older program's flags and no others."""

    def run(*flags: str) -> int:
        places = ["--input-dir", str(tmp_path / "activations"), "--output-dir", str(tmp_path / "results")]
        others = ["--top-n", "3", "--test-size", "0.3", "--tree-depth", "2"]
        return main(["classify", *model, *RELEASE, *places, *others, *flags])

    return run


@pytest.mark.parametrize("act_only", [[], ["--act-only"]])
def test_the_older_flags_are_enough(
    extract: Callable[..., int], classify: Callable[..., int], tmp_path: Path, act_only: list[str]
) -> None:
    import pandas as pd

    assert extract("texts", *act_only, "--max-batches", "3", "--test-size", "0.3") == 0
    assert bool(list(tmp_path.rglob("layer_1/*/shard-00000.npz"))) is True
    assert bool(list(tmp_path.rglob("layer_1/2*/shard-*.npz"))) is not bool(act_only)
    assert classify("--save-plots") == 0
    summary = pd.read_csv(tmp_path / "results" / "summary.csv")
    assert {"sae", "hidden", "tfidf", "majority"} <= set(summary.source)
    assert set(summary.n_train + summary.n_test) <= set(range(80, 97))
    assert list((tmp_path / "results").rglob("*.png"))


def test_several_datasets_are_listed(
    extract: Callable[..., int], classify: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert extract("one") == 0
    assert extract("two") == 0
    capsys.readouterr()
    assert classify() == 2
    message = capsys.readouterr().err
    assert "flags: 1 mistake\n  --dataset-name: several stored splits match" in message
    assert "--one'" in message
    assert "--two'" in message
    assert classify("--dataset-split", "test") == 2
    assert "--dataset-split: no stored split matches" in capsys.readouterr().err


def test_nothing_stored_says_what_to_run(classify: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert classify() == 2
    assert "--input-dir: " in (message := capsys.readouterr().err)
    assert "saefari extract" in message


def test_mosaic_flags_are_accepted(extract: Callable[..., int], model: list[str], tmp_path: Path) -> None:
    """Underscores, another name for the output, `None`, and a checkpoint that is the model's name."""
    spelt = [flag.replace("-", "_").replace("__", "--", 1) if flag.startswith("--") else flag for flag in model]
    name = model[model.index("--model-name") + 1]
    assert extract("texts", "--random-state", "7") == 0
    places = ["--input_dir", str(tmp_path / "activations"), "--dashboard-dir", str(tmp_path / "results")]
    others = ["--sae_location", "res", "--binarize_value", "None", "--cv_folds", "3", "--bow-baseline=False"]
    others += ["--last-token", "--top_n", "0", "--checkpoint", name]
    assert main(["classify", *spelt, *RELEASE, *places, *others]) == 0
    table = read_summary(tmp_path / "results" / "summary.csv")
    assert "tfidf" not in set(table.source)
    rows = table[table.source == "sae"]
    assert set(rows.pooling) == {"last"}
    assert rows.binarize.isna().all()
    settings = read_result(tmp_path / "results" / rows.folder.iloc[0])["settings"]
    assert (settings["seed"], settings["cv_folds"]) == (7, 3)  # the seed is that of the stored split


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--linear-c-values", "0.1", "1.0"], "--linear-c-values: has no counterpart"),
        (["--linear_c_values", "0.1"], "--linear-c-values: has no counterpart"),
        (["--tree-min-samples-split", "2"], "--tree-min-samples-split: has no counterpart"),
        (["--tree-min-samples-leaf", "1"], "--tree-min-samples-leaf: has no counterpart"),
        (["--last-token"], "--last-token: uses one position"),
        (["--last-token", "--all-tokens", "--top-n", "0"], "--last-token: cannot be combined with --all-tokens"),
        (["--model-type", "vlm", "--checkpoint", "acme/other-model"], "--checkpoint: 'acme/other-model' looks like"),
    ],
)
def test_mosaic_flags_without_a_counterpart_are_an_error(
    extract: Callable[..., int],
    classify: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    message: str,
) -> None:
    assert classify(*flags) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith(f"  {message}")


def test_values_keep_their_underscores() -> None:
    given = ["--set", "settings.max_samples=1", "--dataset_name=my_data", "my_file", "--a_b"]
    assert with_hyphens(given) == ["--set", "settings.max_samples=1", "--dataset-name=my_data", "my_file", "--a-b"]


@pytest.mark.parametrize(("flags", "level"), [([], logging.INFO), (["--verbose"], logging.DEBUG)])
def test_verbose_logs_at_debug_level(flags: list[str], level: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--config", "no-such-file.yaml", *flags]) == 2
    assert logger.level == level


def _level_of_worker(_: int) -> int:
    return logger.level


def test_workers_log_at_the_same_level() -> None:
    before, found = logger.level, []
    logger.setLevel(logging.DEBUG)
    try:
        run_in_processes(_level_of_worker, [1, 2], 2, lambda _, level: found.append(level))
    finally:
        logger.setLevel(before)
    assert found == [logging.DEBUG, logging.DEBUG]


@dataclass(frozen=True)
class Task:
    """Append to a file; kill the process if `deadly`."""

    title: str
    mark: Path
    deadly: bool = False

    def on(self, device: str) -> Task:
        return replace(self)

    def run(self) -> list[str]:
        if self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        self.mark.touch()
        return [self.title]


def _run(task: Task) -> list[str]:
    return task.run()


def test_jobs_of_a_killed_process_are_run_again_alone(tmp_path: Path) -> None:
    tasks = [Task(f"{i}", tmp_path / f"{i}") for i in range(6)]
    tasks[2] = replace(tasks[2], deadly=True)
    found: dict[str, Any] = {}
    run_in_processes(_run, tasks, 2, lambda task, result: found.update({task.title: result}))
    assert "a worker process was killed" in str(found.pop("2"))
    assert found == {title: [title] for title in "01345"}


def test_a_killed_process_is_a_failure_of_its_jobs(tmp_path: Path) -> None:
    tasks = [Task(f"{i}", tmp_path / f"{i}", deadly=i == 1) for i in range(2)]
    outcomes = run_on_devices(tasks, ["cpu", "cpu"])
    assert [outcome.title for outcome in outcomes] == ["0", "1"]
    assert "a worker process was killed" in str(outcomes[1].failure)


def test_pinned_processes_count_their_own_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7}, raising=False)
    assert available_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_cores() == 1
