"""`saefari import-mosaic`: the tree it writes, files it does not touch, and its output."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from saefari.pipeline.commands.cli import main
from saefari.report.results.summary import best_table, write_summary
from saefari.store import iter_results
from tests.store.mosaic_tree import mosaic_document, write_document, write_mosaic_tree

SAE = "sae_classifier_results.json"
PLACE = Path("google--gemma-2-2b", "Anthropic--election_questions", "test", "layer_12", "16k", "sum_top0_bin-none")


def run(source: Path, output: Path, *flags: str) -> int:
    return main(["import-mosaic", str(source), "--output-dir", str(output), *flags])


def tree(folder: Path) -> dict[str, bytes]:
    """Every file but the lock."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_a_published_tree_is_converted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_mosaic_tree(tmp_path / "theirs")
    assert run(tmp_path / "theirs", tmp_path / "out") == 0
    classifications = tmp_path / "out" / "classifications"
    folders = [folder.relative_to(classifications) for folder, _ in iter_results(classifications)]
    assert len(folders) == 2 * (4 + 4)
    assert PLACE in folders
    assert PLACE.parents[1] / "16k" / "count_top20_bin-1.0" in folders
    assert PLACE.parents[1] / "hidden" / "last" in folders
    with (classifications / "summary.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 32
    assert {row["source"] for row in rows} == {"sae", "hidden"}
    assert {row["cv_macro_f1"] for row in rows} == {""}
    assert {row["cv_accuracy"] for row in rows} == {"0.82"}
    printed = capsys.readouterr().out
    assert "16 results imported, 0 repeated runs skipped, 0 files not imported" in printed
    assert "metadata.args.input_dir" in printed


def test_of_repeated_runs_the_last_is_imported_and_the_others_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for time, accuracy in (("20250101_000000", 0.9), ("20250102_000000", 0.7)):
        document = mosaic_document()
        document["models"]["linearProbe"]["performance"]["accuracy"] = accuracy
        write_document(tmp_path / "theirs" / time / SAE, document)
    assert run(tmp_path / "theirs", tmp_path / "out") == 0
    result = json.loads((tmp_path / "out" / "classifications" / PLACE / "results.json").read_text())
    assert result["classifiers"]["linear"]["accuracy"] == 0.7
    assert f"20250101_000000/{SAE}: 20250102_000000/{SAE}" in capsys.readouterr().out


def test_importing_twice_gives_the_same_tree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_mosaic_tree(tmp_path / "theirs")
    run(tmp_path / "theirs", tmp_path / "out")
    once = tree(tmp_path / "out")
    assert run(tmp_path / "theirs", tmp_path / "out") == 0
    assert tree(tmp_path / "out") == once
    assert "16 results imported (16 unchanged)" in capsys.readouterr().out


def test_a_result_of_a_run_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_document(tmp_path / "theirs" / SAE, mosaic_document())
    ours = tmp_path / "out" / "classifications" / PLACE / "results.json"
    write_document(ours, {"summary": []})
    before = ours.read_bytes()
    assert run(tmp_path / "theirs", tmp_path / "out") == 1
    assert ours.read_bytes() == before
    assert "holds a result of this program; remove it" in capsys.readouterr().out
    ours.unlink()
    predictions = ours.with_name("predictions.parquet")
    predictions.write_bytes(b"half a run")
    assert run(tmp_path / "theirs", tmp_path / "out") == 1
    assert list(ours.parent.iterdir()) == [predictions]


def test_the_import_of_another_file_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, name in enumerate(("one", "two")):
        write_document(tmp_path / name / SAE, mosaic_document(seed=seed))
    assert run(tmp_path / "one", tmp_path / "out") == 0
    before = tree(tmp_path / "out")
    assert run(tmp_path / "two", tmp_path / "out") == 1
    assert tree(tmp_path / "out") == before
    assert "holds the import of another file" in capsys.readouterr().out


def test_a_dry_run_prints_the_same_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_document(tmp_path / "theirs" / SAE, mosaic_document())
    assert run(tmp_path / "theirs", tmp_path / "out", "--dry-run") == 0
    assert not (tmp_path / "out").exists()
    assert f"{PLACE}  <-  {SAE}" in (printed := capsys.readouterr().out)
    assert "1 result would be imported" in printed


def test_bad_files_are_one_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = tmp_path / "theirs"
    write_document(theirs / "good" / SAE, mosaic_document())
    (theirs / "broken").mkdir()
    (theirs / "broken" / SAE).write_bytes(b'{"metadata": {"mod')
    early = mosaic_document()
    del early["metadata"]["dataset"], early["metadata"]["args"]
    write_document(theirs / "early" / "classifier_results.json", early)
    half = mosaic_document(layer=5)
    half["models"]["linearProbe"]["performance"]["accuracy"] = None
    write_document(theirs / "half" / SAE, half)
    assert run(theirs, tmp_path / "out") == 1
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert sum(line.startswith(f"broken/{SAE}: cannot be read (JSONDecodeError") for line in lines) == 1
    assert any(
        line.startswith("early/classifier_results.json:") and "metadata.dataset: missing" in line for line in lines
    )
    assert f"half/{SAE}: models.linearProbe.performance.accuracy: missing" in lines
    assert lines[-1] == "2 results imported, 0 repeated runs skipped, 2 files not imported"
    (tmp_path / "none").mkdir()
    assert run(tmp_path / "none", tmp_path / "out") == 1
    assert "no file below" in capsys.readouterr().out


HOSTILE = [
    "../../x",
    "/etc/x",
    "..",
    "/",
    ".",
    "a" * 300,
    "a\x00b\x1b[31m\n",
    "~root/x",
    "C:\\x",
    "\ud800",
    "layer_1/../..",
]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("key", ["model_name", "dataset_name", "dataset_split", "dataset_config_name", "width"])
def test_names_cannot_leave_the_output_folder(
    tmp_path: Path, key: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    args: dict[str, Any] = {key: name}
    write_document(tmp_path / "theirs" / SAE, mosaic_document(**args))
    code = run(tmp_path / "theirs", tmp_path / "deep" / "er" / "out")
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    written = list(tmp_path.rglob("results.json"))
    assert len(written) == (1 if code == 0 else 0)
    inside = tmp_path / "deep" / "er" / "out" / "classifications"
    assert {path.name for path in tmp_path.iterdir()} == {"theirs", "deep"}
    depth = 8 if key == "dataset_config_name" else 7
    assert all(len(path.relative_to(inside).parts) == depth for path in written)
    assert not any(character in printed.out for character in "\x00\x1b")


def test_a_missing_folder_is_an_error_in_the_flags(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "nowhere", tmp_path / "out") == 2
    assert "is not a folder" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_tables_accept_results_without_cross_validation(tmp_path: Path) -> None:
    document = mosaic_document()
    document["models"]["linearProbe"]["aggregated_metrics"] = None
    write_document(tmp_path / "theirs" / SAE, document)
    assert run(tmp_path / "theirs", tmp_path / "out") == 0
    rows = write_summary(tmp_path / "out" / "classifications" / "summary.csv")
    assert [row["macro_f1"] is None for row in rows] == [True, False]
    assert len(best_table(rows).splitlines()) == 2
