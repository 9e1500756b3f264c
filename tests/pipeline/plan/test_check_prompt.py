"""A text that gives the label away is an error before a run, or a caution beside every score."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from saefari.config import parse_config
from saefari.errors import ConfigError
from saefari.pipeline.commands.cli import run_experiments
from saefari.pipeline.plan.check_prompt import CAUTION, Determined, determined
from saefari.pipeline.plan.make_plan import make_plan
from saefari.store import read_summary
from tests.tiny_vision import picture, save_vlm

from ..tiny import Raw, tiny_settings

ANIMALS = {"cat": "pet", "dog": "pet", "whale": "sea", "cod": "sea"}
PUBLISHED = """
settings: {base_save_dir: "./output/activations", base_classify_dir: "./output/classifications", batch_size: 1,
  model_type: "vlm", sae_location: "res", test_size: 0.2, tree_depth: 5, act_only: True, cuda_visible_devices: "0"}
models: [{name: "google/paligemma2-3b-pt-224", layers: [12], widths: ["16k"]}]
datasets: [{name: "example/harbour_photos", config_name: "", split: "test", text_field: "label", image_field: "image",
  label_field: "label"}]
classification_params: {top_n_values: [0, 20], binarize_values: [null, 1.0], extra_top_n: -1,
  extra_binarize_value: null}
"""


@pytest.fixture(scope="module")
def vlms(tmp_path_factory: pytest.TempPathFactory, save_sae: Callable[..., Any]) -> Path:
    """A folder with a tiny LLaVA, a tiny PaliGemma 2 and an SAE that fits both."""
    root = tmp_path_factory.mktemp("models")
    save_sae(root / "sae", "blocks.2.hook_resid_post", 32)
    for kind in ("llava", "paligemma2"):
        save_vlm(root / kind, kind)
    return root


def write_rows(folder: Path, rows: Iterable[tuple[str, str]]) -> str:
    """Rows of one noise image, a text and a label; the file's name."""
    folder.mkdir(parents=True, exist_ok=True)
    picture(20, 20).save(folder / "noise.png")
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "text", "label"])
        writer.writerows(("noise.png", *row) for row in rows)
    return str(folder / "rows.csv")


def configuration(root: Path, model: Path, data: str, settings: dict[str, Any], **dataset: Any) -> Raw:
    return {
        "settings": tiny_settings(root, model_type="vlm", image_workers=0, **settings),
        "models": [{"name": str(model), "layers": [2], "widths": ["64"], "sae_path": str(model.parent / "sae")}],
        "datasets": [{"name": data, "image_field": "image", **dataset}],
    }


def mistakes(raw: Raw, **how: Any) -> list[str]:
    """Paths and messages of the plan's problems."""
    try:
        make_plan(parse_config(raw), **how)
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    return []


DETERMINED = [(animal, kind) for animal, kind in ANIMALS.items() for _ in range(10)]
OPEN = [(f"what swims in picture {i}?", kind) for i, (_, kind) in enumerate(DETERMINED)]


@pytest.mark.parametrize("field", ["label", "text"])
@pytest.mark.parametrize(
    ("kind", "positions", "seen"),
    [
        ("llava", "image", False),
        ("llava", "text", True),
        ("llava", "last", True),
        ("llava", "all", True),
        ("paligemma2", "image", True),
        ("paligemma2", "last", True),
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_text_that_gives_the_label_away_is_an_error_if_positions_see_it(
    tmp_path: Path, vlms: Path, kind: str, positions: str, seen: bool, field: str, dry_run: bool
) -> None:
    data = write_rows(tmp_path, DETERMINED)
    raw = configuration(tmp_path, vlms / kind, data, {"positions": positions}, text_field=field)
    found = mistakes(raw, dry_run=dry_run)
    assert len(found) == seen
    if seen:
        assert found[0].startswith(f"datasets[0].text_field: {'each text of ' * (field == 'text')}{field!r}")
        assert "text_is_label: true" in found[0]
        assert "Remove text_field" in found[0]
    raw["datasets"][0]["text_is_label"] = True
    assert mistakes(raw, dry_run=dry_run) == []


def test_texts_that_do_not_determine_the_label_are_accepted(tmp_path: Path, vlms: Path) -> None:
    raw = configuration(tmp_path, vlms / "paligemma2", write_rows(tmp_path, OPEN), {}, text_field="text")
    assert mistakes(raw) == []
    del raw["datasets"][0]["text_field"]
    assert mistakes(raw) == []


def test_unreachable_rows_are_noted_in_a_dry_run(tmp_path: Path, vlms: Path) -> None:
    raw = configuration(tmp_path, vlms / "paligemma2", "example/harbour_photos", {}, text_field="caption")
    plan = make_plan(parse_config(raw), dry_run=True)
    assert [
        note for note in plan.notes if note.startswith("datasets[0].text_field: not checked whether 'caption' gives")
    ]


def test_the_published_file_with_a_label_as_text_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "conf.yaml").write_text(PUBLISHED)
    assert run_experiments(["--config", str(tmp_path / "conf.yaml"), "--dry-run"]) == 2
    message = capsys.readouterr().err
    assert "datasets[0].text_field: 'label' is label_field too" in message
    assert "Remove text_field" in message
    (tmp_path / "conf.yaml").write_text(PUBLISHED.replace('label_field: "label"', "text_is_label: true"))
    assert run_experiments(["--config", str(tmp_path / "conf.yaml"), "--dry-run"]) == 0


@pytest.mark.parametrize("classify_only", [False, True])
def test_a_text_model_must_not_read_the_label(
    tmp_path: Path, vlms: Path, save_tiny: Callable[..., Path], write_texts: Callable[..., Any], classify_only: bool
) -> None:
    write_texts(tmp_path / "texts.jsonl", 40)
    raw = {
        "settings": tiny_settings(tmp_path),
        "models": [{"name": str(save_tiny("llama")), "layers": [2], "widths": ["64"], "sae_path": str(vlms / "sae")}],
        "datasets": [{"name": str(tmp_path / "texts.jsonl"), "text_field": "label"}],
    }
    (found,) = mistakes(raw, need_model=not classify_only)
    assert "Set text_field to the column of the texts" in found


def test_an_intended_label_text_gives_a_caution_beside_every_score(
    tmp_path: Path,
    vlms: Path,
    saved: Callable[[Raw], list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Noise images: only the text tells the class, and PaliGemma's image tokens see it."""
    data = write_rows(tmp_path / "noise", [("cat", "a"), ("dog", "b")] * 16)
    lines = (tmp_path / "noise" / "rows.csv").read_text().splitlines()
    for number in range(1, len(lines)):
        picture(20, 20, seed=number).save(tmp_path / "noise" / f"{number}.png")
        lines[number] = lines[number].replace("noise.png", f"{number}.png")
    (tmp_path / "noise" / "rows.csv").write_text("\n".join(lines))
    raw = configuration(tmp_path, vlms / "paligemma2", data, {}, text_field="text", text_is_label=True)
    assert run_experiments(saved(raw)) == 0
    printed = capsys.readouterr().out
    table = read_summary(tmp_path / "classifications" / "summary.csv")
    assert set(table[table.caution == CAUTION].source) == {"sae", "hidden", "tfidf"}
    assert set(table[table.caution == ""].source) == {"pixels", "majority"}
    lines = [line for line in printed.splitlines() if line.startswith(table.dataset[0])]
    assert len(lines) == 5
    assert [CAUTION in line for line in lines] == [line.split()[1] not in ("pixels", "majority") for line in lines]
    assert f"warning: {table.dataset[0]} tfidf: {CAUTION}" in printed


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (DETERMINED, Determined(4, 2, 40)),
        ([(kind, kind) for _, kind in DETERMINED[:2] + DETERMINED[-2:]], Determined(2, 2, 4)),
        (OPEN, None),  # each row has its own text
        ([("what is this?", kind) for _, kind in DETERMINED], None),
        ([(text, "all the same") for text, _ in DETERMINED], None),
        ([*DETERMINED, *[("cat", "sea")] * 5], None),
        ([*DETERMINED * 10, ("cat", "sea")], Determined(4, 2, 401)),
        # Nearly all rows have one class, so that a text's labels are mostly equal is uninformative.
        ([("q", "no")] * 990 + [("q", "yes")] * 10, None),
        ([], None),
    ],
)
def test_few_texts_that_determine_the_label(rows: list[tuple[str, str]], found: Determined | None) -> None:
    shuffled = random.Random(0).sample(rows, len(rows))
    assert determined(shuffled) == found


def test_the_check_stops_early_if_texts_are_distinct() -> None:
    def rows() -> Iterable[tuple[str, str]]:
        for i in range(10**9):
            yield f"text {i}", "ab"[i % 2]

    assert determined(rows()) is None
