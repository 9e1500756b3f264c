"""What a folder of shards may be continued with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saefari.errors import ConflictError
from saefari.extract.outputs import Output, inspect_all
from saefari.store import Manifest

RANGES = [(0, 2), (2, 3)]
FACTS = {"weights_sha256": "a", "hook": "blocks.1.hook_resid_post"}


def output(folder: Path, overwrite: bool = False, **settings: Any) -> Output:
    found = Output("codes", folder, {"model": "m"} | settings, 3)
    inspect_all([found], RANGES, overwrite)
    return found


def write(to: Output, index: int) -> None:
    to.write(index, RANGES[index], {"pooled_mean": np.full((RANGES[index][1] - RANGES[index][0], 2), index)})


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """A folder with the first of two shards."""
    first = output(tmp_path)
    first.confirm(FACTS)
    assert first.decision.missing == (0, 1)
    write(first, 0)
    return tmp_path


def test_what_is_there_is_continued_with_the_same_facts(begun: Path) -> None:
    again = output(begun)
    assert again.decision.missing == (1,)
    again.confirm(dict(FACTS))
    write(again, 1)
    manifest = Manifest.load(begun)
    assert manifest is not None
    assert manifest.complete
    assert (manifest.facts, [shard.rows for shard in manifest.shards]) == (FACTS, [2, 1])


@pytest.mark.parametrize("changed", [{"weights_sha256": "b"}, {"norm_limit": 3.0}])
def test_shards_of_other_facts_are_never_continued(begun: Path, changed: dict[str, Any]) -> None:
    before = (begun / "manifest.json").read_bytes()
    with pytest.raises(ConflictError, match="remove the folder"):
        output(begun).confirm(FACTS | changed)
    assert (begun / "manifest.json").read_bytes() == before


def test_other_settings_are_a_conflict_unless_they_may_be_overwritten(begun: Path) -> None:
    with pytest.raises(ConflictError, match="overwrite"):
        output(begun, model="n")
    replaced = output(begun, overwrite=True, model="n")
    assert replaced.decision.missing == (0, 1)
    replaced.confirm(FACTS | {"weights_sha256": "b"})
    assert not list(begun.glob("*.npz"))
