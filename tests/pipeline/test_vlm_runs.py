"""Vision-language models in runs: the older one-off commands, which positions count, and prompts that are too long."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from saefari.pipeline.commands.cli import main, run_experiments
from saefari.store import read_summary
from tests.tiny_vision import picture, save_colours, save_vlm, tinted

from .tiny import Raw, classified, samples, tiny_settings


def test_a_prompt_that_is_too_long_is_not_a_bad_image(
    tmp_path: Path, saved: Callable[[Raw], list[str]], save_sae: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """This is an error in the settings, so rows are not left out."""
    model = save_vlm(tmp_path / "llava", "llava")
    save_sae(tmp_path / "sae", "blocks.2.hook_resid_post", 32)
    picture(20, 20).save(tmp_path / "a.png")
    rows = "".join(f"a.png,{'cat ' * 700},{name}\n" for name in ("x", "y"))
    (tmp_path / "rows.csv").write_text("image,text,label\n" + rows)
    raw = {
        "settings": tiny_settings(tmp_path, model_type="vlm", image_workers=2, max_length=2000, on_bad_sample="skip"),
        "models": [{"name": str(model), "layers": [2], "widths": ["64"], "sae_path": str(tmp_path / "sae")}],
        "datasets": [{"name": str(tmp_path / "rows.csv"), "image_field": "image", "text_field": "text"}],
    }
    assert run_experiments([*saved(raw), "--extract-only"]) == 1
    message = capsys.readouterr().out
    assert "lower settings.max_length" in message
    assert "could not be read" not in message


@pytest.fixture(scope="module", params=["llava", "paligemma2"])
def vlm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_vlm(tmp_path_factory.mktemp("models") / f"tiny-{request.param}", request.param)


@pytest.mark.slow
def test_one_off_commands_of_a_vision_language_model(
    vlm: Path, tmp_path: Path, save_sae: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """The older flags, whose text is the label."""
    lines = ["full_image,fine_label_str"]
    for number in range(24):
        tinted(number, ["blue", "red"][number % 2]).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,{['the cat', 'a dog'][number % 2]}")
    (tmp_path / "test.csv").write_text("\n".join(lines))
    save_sae(tmp_path / "sae", "blocks.2.hook_resid_post", 32)
    model = ["--model-name", str(vlm), "--model-type", "vlm", "--layer", "2", "--width", "64"]
    model += ["--sae-path", str(tmp_path / "sae")]
    data = ["--dataset-name", str(tmp_path / "test.csv"), "--dataset-split", "test"]
    fields = ["--text-field", "fine_label_str", "--label-field", "fine_label_str", "--image-field", "full_image"]
    stored, results = str(tmp_path / "activations"), str(tmp_path / "classifications")
    few = ["--act-only", "False", "--max-batches", "3", "--batch-size", "7", "--save-dir", stored]
    sees = "paligemma" in str(vlm)
    meant = ["--text-is-label"] * sees
    if sees:
        assert main(["extract", *model, *data, *fields, *few]) == 2
        assert "--text-is-label" in capsys.readouterr().err
    assert main(["extract", *model, *data, *fields, *few, *meant]) == 0
    assert "the prompt's text is the label" in capsys.readouterr().out
    table = pq.read_table(samples(tmp_path) / "samples.parquet").to_pydict()
    assert len(table["row"]) == 21
    assert all(len(valid) == 16 for valid in table["valid"])
    assert set(table["text"]) == {"the cat", "a dog"}
    assert main(["classify", *model, *data, "--input-dir", stored, "--output-dir", results, *meant]) == 0
    assert classified(tmp_path) == {(2, "64")}
    table = read_summary(tmp_path / "classifications" / "summary.csv")
    marked = {"tfidf", *(["sae", "hidden"] if sees else [])}
    assert set(table[table.caution != ""].source) == marked
    assert {"pixels", "majority"} <= set(table[table.caution == ""].source)


def test_text_and_image_positions_of_one_model_need_separate_runs(
    vlm: Path, tmp_path: Path, save_sae: Callable[..., Any], saved: Callable[[Raw], list[str]]
) -> None:
    save_sae(tmp_path / "sae", "blocks.2.hook_resid_post", 32)
    raw = {
        "settings": tiny_settings(tmp_path, model_type="vlm", image_workers=0, positions="text"),
        "models": [{"name": str(vlm), "layers": [2], "widths": ["64"], "sae_path": str(tmp_path / "sae")}],
        "datasets": [
            {
                "name": str(save_colours(tmp_path / "colours", 24)),
                "image_field": "image",
                "text_field": "label",
                "text_is_label": True,
            }
        ],
    }
    assert run_experiments([*saved(raw), "--extract-only"]) == 0
    table = pq.read_table(samples(tmp_path) / "samples.parquet").to_pydict()
    assert {tuple(patch) for patch in table["patch"]} <= {(-1,) * n for n in range(1, 9)}
    for text, start, stop in zip(table["text"], table["span_start"], table["span_end"], strict=True):
        assert "".join(text[a:b] for a, b in zip(start, stop, strict=True)) == text
    raw["settings"]["positions"] = "all"
    assert run_experiments([*saved(raw), "--extract-only"]) == 1
