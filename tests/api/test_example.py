"""The example scripts and the code of docs/python-api.md run on a finished tree."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "python-api.md"


@pytest.mark.parametrize("script", sorted((ROOT / "examples" / "python").glob("*.py")), ids=lambda path: path.stem)
def test_an_example_runs(
    script: Path, tree: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [str(script)])
    runpy.run_path(str(script), run_name="__main__")
    printed = capsys.readouterr().out
    assert "macro-F1" in printed
    assert "probability:" in printed


def test_the_code_of_the_page_runs(tree: object) -> None:
    """Blocks marked `python` run one after another; those marked `py` need a larger tree or images."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), names)
    assert {"best", "baseline", "wrong", "codes", "answers", "figure"} <= set(names)


def test_the_page_names_only_what_is_there(tree: object) -> None:
    import saefari

    table = PAGE.read_text(encoding="utf-8").split("| name |")[1].split("\n\n")[0]
    owners = {"saefari": saefari, "tree": saefari.Tree, "result": saefari.Result}
    named = re.findall(r"`(saefari|tree|result)\.(\w+)", table)
    assert len(named) >= 13
    assert [f"{owner}.{name}" for owner, name in named if not hasattr(owners[owner], name)] == []
