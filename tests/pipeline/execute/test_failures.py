"""A failed job skips only the work that depends on it, and this work is listed once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from saefari.errors import SaefariError
from saefari.pipeline.commands.cli import run_experiments
from saefari.store import Failure, read_last_run

from ..tiny import SHORT, Raw

Saved = Callable[[Raw], list[str]]


@pytest.fixture
def two(raw: Raw, tmp_path: Path, write_texts: Callable[..., Any]) -> Raw:
    """One SAE to train at two layers, and two datasets."""
    write_texts(tmp_path / "more.jsonl", 80, 1)
    raw["sae_training"] = [{"name": "mine", "d_sae": 48, **SHORT}]
    raw["datasets"].append({"name": str(tmp_path / "more.jsonl"), "text_field": "text"})
    return raw


def failures(root: Path) -> list[Failure]:
    run = read_last_run(root / "reports" / "last_run.json")
    assert run is not None
    return run.failures


def sources(root: Path) -> set[tuple[str, str]]:
    """(end of the dataset's name, source) of every result."""
    summary = pd.read_csv(root / "classifications" / "summary.csv")
    return {(name.rpartition("--")[2], source) for name, source in zip(summary.dataset, summary.source, strict=True)}


def test_a_failed_extraction(
    two: Raw, saved: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from saefari.extract import run as extract

    original = extract.run_extract

    def run_extract(job: Any, model: Any) -> list[str]:
        if "more" in job.title:
            raise SaefariError("on purpose")
        return original(job, model)

    monkeypatch.setattr(extract, "run_extract", run_extract)
    assert run_experiments(saved(two)) == 1
    (failure,) = failures(tmp_path)
    assert failure.reason == "on purpose"
    assert failure.job.startswith(f"{tmp_path.name}--more/train x ")
    names = ("layer 1 mine", "layer 2 mine", "layer 1 hidden", "layer 2 hidden")
    assert failure.not_done == tuple(f"classify {name}" for name in names)
    logged = capsys.readouterr().err
    assert logged.count(" ERROR ") == 1
    assert "not done because of this: classify layer 1 mine, layer 2 mine" in logged.replace(", classify", ",")
    assert sources(tmp_path) == {("texts", s) for s in ("sae", "hidden", "tfidf", "majority")} | {
        ("more", "tfidf"),
        ("more", "majority"),
    }


def test_failed_training_of_saes(two: Raw, saved: Saved, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two["sae_training"].append({"name": "bad", "d_sae": 48, **SHORT, "lr": 1e30})
    assert run_experiments(saved(two)) == 1
    (failure,) = failures(tmp_path)
    assert "bad (layer 1) diverged" in failure.reason
    assert len(failure.not_done) == 4
    assert all(" bad (" in what for what in failure.not_done)
    printed = capsys.readouterr().out
    assert printed.count("FAILED") == 1
    assert "        not done because of this: classify layer 1 bad" in printed
    assert "--extract-only" not in printed
    assert ("texts", "sae") in sources(tmp_path)


def test_failed_encoding(two: Raw, saved: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from saefari.extract import encode_stored

    def run_encode(job: Any) -> list[str]:
        raise SaefariError("on purpose")

    two["settings"]["act_only"] = True
    two["datasets"].pop()
    monkeypatch.setattr(encode_stored, "run_encode", run_encode)
    assert run_experiments(saved(two)) == 1
    (failure,) = failures(tmp_path)
    assert failure.job.startswith("encode ")
    assert failure.not_done == ("classify layer 1 mine", "classify layer 2 mine")
    assert sources(tmp_path) == {("texts", source) for source in ("hidden", "tfidf", "majority")}


@pytest.mark.parametrize("act_only", [False, True])
def test_unreadable_rows(two: Raw, saved: Saved, tmp_path: Path, act_only: bool) -> None:
    two["settings"]["act_only"] = act_only
    two["datasets"].pop()
    lines = (tmp_path / "texts.jsonl").read_text().splitlines()
    lines[70] = '{"text": ["no text"], "label": "odd"}'
    (tmp_path / "texts.jsonl").write_text("\n".join(lines))
    assert run_experiments(saved(two)) == 1
    (failure,) = failures(tmp_path)
    assert "row 70" in failure.reason
    assert [what.split()[0] for what in failure.not_done] == ["train"] * 2 + ["extract"] + ["classify"] * 6


def test_classifying_data_that_was_never_extracted(
    two: Raw, saved: Saved, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_experiments([*saved(two), "--classify-only"]) == 1
    found = failures(tmp_path)
    assert len(found) == 2
    assert all("--extract-only" in failure.reason and len(failure.not_done) == 6 for failure in found)
    assert capsys.readouterr().out.count("--extract-only") == 2
