"""The same command on a complete tree computes and draws nothing; changes are detected."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from saefari import fingerprint
from saefari.pipeline.commands.cli import FAILED, OK, run_experiments

from ..tiny import SHORT, tiny_settings

HEAVY = {"sklearn", "pandas", "matplotlib", "sae_lens", "datasets", "transformers.modeling_utils"}
IN_A_PROCESS = """
import json, sys
from saefari.pipeline.commands.cli import run_experiments
code = run_experiments(["--config", sys.argv[1]])
print(json.dumps([code, sorted(sys.modules)]))
"""


@pytest.fixture(scope="module")
def complete(
    tmp_path_factory: pytest.TempPathFactory, save_tiny: Callable[..., Path], write_texts: Callable[..., Any]
) -> Path:
    """The folder of a finished run: dataset, conf.yaml and all output."""
    root = tmp_path_factory.mktemp("complete")
    write_texts(root / "texts.jsonl", 120)
    raw = {
        "settings": tiny_settings(root, save_plots=True),
        "models": [{"name": str(save_tiny("llama")), "layers": [1]}],
        "sae_training": [{"d_sae": [48, 64], **SHORT}],
        "datasets": [{"name": str(root / "texts.jsonl"), "text_field": "text"}],
    }
    (root / "conf.yaml").write_text(yaml.safe_dump(raw))
    assert run(root) == OK
    raw["settings"]["n_jobs"] = 2  # processes, which only new work would start
    (root / "conf.yaml").write_text(yaml.safe_dump(raw))
    return root


@pytest.fixture
def tree(complete: Path, tmp_path: Path) -> Path:
    """A copy of it, for tests that change it."""
    root = tmp_path / complete.name  # the slug of the dataset holds it
    shutil.copytree(complete, root)
    conf = root / "conf.yaml"
    conf.write_text(conf.read_text().replace(str(complete), str(root)))
    return root


def run(root: Path) -> int:
    """Run as in a new process, without cached file hashes."""
    fingerprint._hash.cache_clear()
    return run_experiments(["--config", str(root / "conf.yaml")])


def written(root: Path) -> dict[Path, int]:
    """Modification time of each file, except those that every run writes."""
    return {
        path: path.stat().st_mtime_ns
        for path in root.rglob("*")
        if path.is_file() and path.name not in ("last_run.json", "summary.csv") and not path.name.endswith(".lock")
    }


def alter(path: Path, old: bytes, new: bytes) -> None:
    """Change a file's content, but not its size or modification time."""
    assert len(old) == len(new)
    content, status = path.read_bytes(), path.stat()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_nothing_is_written_or_started_and_the_output_is_the_same(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert any(path.suffix == ".png" for path in written(tree))
    summary, last_run = tree / "classifications" / "summary.csv", tree / "reports" / "last_run.json"
    run(tree)
    printed, before, children = capsys.readouterr().out, written(tree), resource.getrusage(resource.RUSAGE_CHILDREN)
    records = summary.read_bytes(), last_run.read_bytes()
    assert run(tree) == OK
    assert resource.getrusage(resource.RUSAGE_CHILDREN) == children
    assert written(tree) == before
    assert capsys.readouterr().out == printed
    assert (summary.read_bytes(), last_run.read_bytes()) == records
    assert "2 SAEs reused from an earlier run." in printed


def test_nothing_heavy_is_imported(tree: Path) -> None:
    command = [sys.executable, "-c", IN_A_PROCESS, str(tree / "conf.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    code, modules = json.loads(done.stdout.splitlines()[-1])
    assert code == OK
    assert not HEAVY & set(modules)


def test_a_tree_without_known_rows_needs_no_work(tree: Path) -> None:
    (record,) = tree.rglob("samples.json")
    known = json.loads(record.read_text())
    record.write_text(json.dumps({key: value for key, value in known.items() if key != "known_rows"}))
    before = {path: time for path, time in written(tree).items() if path != record}
    assert run(tree) == OK
    assert json.loads(record.read_text()) == known
    assert {path: time for path, time in written(tree).items() if path != record} == before


def test_a_changed_dataset_is_detected(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = tree / "texts.jsonl"
    word = json.loads(texts.read_text().splitlines()[0])["text"].split()[0].encode()
    alter(texts, b'"text": "' + word, b'"text": "' + b"z" * len(word))
    assert run(tree) == FAILED
    assert "was made with other settings" in capsys.readouterr().out


def test_a_damaged_shard_is_written_again(tree: Path) -> None:
    shard = next(path for path in sorted(tree.rglob("shard-*.npz")) if path.parent.name != "hidden")
    content = shard.read_bytes()
    alter(shard, content[100:104], bytes(255 - byte for byte in content[100:104]))
    before = written(tree)
    assert run(tree) == OK
    assert shard.read_bytes() == content
    remade = {path for path, time in written(tree).items() if before[path] != time}
    assert remade == {shard, shard.parent / "manifest.json"}


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"no picture")])
def test_a_changed_figure_is_drawn_again(tree: Path, damage: Callable[[Path], object]) -> None:
    figures = [next((tree / "classifications").rglob("*.png")), tree / "reports" / "saes_density.png"]
    contents = [figure.read_bytes() for figure in figures]
    for figure in figures:
        damage(figure)
    assert run(tree) == OK
    assert [figure.read_bytes() for figure in figures] == contents


def test_figures_are_drawn_from_current_results(tree: Path) -> None:
    figures = sorted((tree / "classifications").rglob("linear_confusion.png"))
    contents = [figure.read_bytes() for figure in figures]
    results = figures[0].parent / "results.json"
    record = json.loads(results.read_text())
    record["classifiers"]["linear"]["macro_f1"] = 0.123
    results.write_text(json.dumps(record))
    report = (tree / "reports" / "saes.json").stat().st_mtime_ns
    assert run(tree) == OK
    assert [figure.read_bytes() == content for figure, content in zip(figures, contents, strict=True)] == [
        False,
        *[True] * (len(figures) - 1),
    ]
    assert (tree / "reports" / "saes.json").stat().st_mtime_ns != report


def test_results_of_an_older_version_are_a_warning(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Results that the run does not write again stay in summary.csv."""
    (made,) = (tree / "classifications").rglob("tfidf/tfidf")
    old = tree / "classifications" / "old"
    shutil.copytree(made, old)
    result = json.loads((old / "results.json").read_text())
    result["settings"]["format"] -= 1
    (old / "results.json").write_text(json.dumps(result))
    assert run(tree) == OK
    assert f"warning: 1 results in {tree / 'classifications' / 'summary.csv'} come from an older version" in (
        capsys.readouterr().out
    )
    shutil.rmtree(old)
    assert run(tree) == OK
    assert "older version" not in capsys.readouterr().out
