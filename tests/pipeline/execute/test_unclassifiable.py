"""Rows that cannot be classified are reported before training and extraction."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saefari.classify.classes import quantity_hint
from saefari.pipeline.commands.cli import main, run_experiments
from saefari.store import Failure, read_last_run
from tests.conftest import WORDS

from ..tiny import Raw

Saved = Callable[[Raw], list[str]]


def write_rows(path: Path, labels: list[Any]) -> None:
    """Rows of different texts with these labels."""
    texts = [f"{WORDS[i % 15]} {WORDS[i // 15]} {WORDS[i % 7]} the big cat sat on it" for i in range(len(labels))]
    rows = [json.dumps({"text": text, "label": label}) for text, label in zip(texts, labels, strict=True)]
    path.write_text("\n".join(rows) + "\n")


LABELS: dict[str, list[Any]] = {
    "one_class": ["praise"] * 120,
    "number_label": [round(0.011 + i * 0.0081, 6) for i in range(120)],
    "small_classes": [f"topic{i % 40}" for i in range(120)],
}
EXPECTED = {
    "one_class": "every row has the label 'praise', but two labels are needed: check label_field",
    "number_label": "The column 'label' holds 120 different numbers from 0.011 to 0.9749 and looks like a quantity: "
    'bin it, for example by rows["binned"] = pandas.qcut(rows[\'label\'], 3, labels=["low", "middle", "high"])',
    "small_classes": "0 of 40 classes have enough rows, but two are needed; left out: 'topic0' (2 training rows for 5",
}


@pytest.fixture
def never_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model may be loaded."""
    from saefari.models.text_model import TextModel

    monkeypatch.setattr(TextModel, "load", lambda *args, **kwargs: pytest.fail("a model was loaded"))


def failures(root: Path) -> list[Failure]:
    run = read_last_run(root / "reports" / "last_run.json")
    assert run is not None
    return run.failures


@pytest.mark.usefixtures("never_loaded")
@pytest.mark.parametrize("case", sorted(LABELS))
def test_reported_before_training_and_extraction(
    case: str, raw: Raw, saved: Saved, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rows(tmp_path / "texts.jsonl", LABELS[case])
    raw["settings"]["cv_folds"] = 5
    for _ in range(2):  # also where the samples were prepared before
        assert run_experiments(saved(raw)) == 1
        printed = capsys.readouterr().out
        assert printed.count("FAILED") == 1
        assert EXPECTED[case] in printed
        (failure,) = failures(tmp_path)
        assert EXPECTED[case] in failure.reason
        assert [what for what in failure.not_done if what.startswith("classify")] == [
            *(f"classify layer {layer} batchtopk-d{d}" for layer in (1, 2) for d in (48, 64)),
            "classify layer 1 hidden",
            "classify layer 2 hidden",
            "classify tfidf",
            "classify majority",
        ]
        assert sum(what.startswith("train") for what in failure.not_done) == 4
        assert sum(what.startswith("extract") for what in failure.not_done) == 1
    assert not list(tmp_path.rglob("manifest.json"))


def test_without_classification_it_is_a_warning(
    raw: Raw, saved: Saved, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rows(tmp_path / "texts.jsonl", LABELS["one_class"])
    assert main(["train-sae", *saved(raw)]) == 0
    assert run_experiments([*saved(raw), "--extract-only"]) == 0
    assert f"cannot be classified: {EXPECTED['one_class']}" in capsys.readouterr().out
    assert list(tmp_path.rglob("layer_1/hidden/manifest.json"))
    assert run_experiments([*saved(raw), "--classify-only"]) == 1
    (failure,) = failures(tmp_path)
    assert failure.reason == EXPECTED["one_class"]
    assert len(failure.not_done) == 8
    assert capsys.readouterr().out.count("FAILED") == 1


def test_other_datasets_still_run(raw: Raw, saved: Saved, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_rows(tmp_path / "one.jsonl", LABELS["one_class"])
    raw["datasets"].append({"name": str(tmp_path / "one.jsonl"), "text_field": "text"})
    raw["sae_training"][0]["d_sae"] = 48
    assert run_experiments(saved(raw)) == 1
    (failure,) = failures(tmp_path)
    assert failure.job.endswith("one/train")
    assert not any(what.startswith("train") for what in failure.not_done)  # the other dataset's rows are there
    assert len(failure.not_done) == 7
    assert all("one/train" in what for what in failure.not_done)
    assert "macro-F1" in capsys.readouterr().out


@pytest.mark.usefixtures("never_loaded")
def test_a_test_split_with_other_labels(raw: Raw, saved: Saved, tmp_path: Path) -> None:
    folder = tmp_path / "split"
    folder.mkdir()
    write_rows(folder / "train.jsonl", ["a", "b"] * 30)
    (folder / "test.jsonl").write_text("".join(f'{{"text": "dog {i}", "label": "{"xa"[i % 2]}"}}\n' for i in range(20)))
    raw["datasets"] = [{"name": str(folder), "text_field": "text", "test_split": "test"}]
    assert run_experiments(saved(raw)) == 1
    (failure,) = failures(tmp_path)
    assert "1 of 3 classes have enough rows" in failure.reason
    assert "left out: 'b' (no test row), 'x' (no training row)" in failure.reason


def test_dropped_classes_are_reported_before_extraction(
    raw: Raw, saved: Saved, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rows(tmp_path / "texts.jsonl", ["a", "b"] * 40 + ["rare"])
    raw["sae_training"][0]["d_sae"] = 48
    assert run_experiments(saved(raw)) == 0
    printed, logged = capsys.readouterr()
    warning = "1 classes with 1 rows are left out: 'rare' (1 training rows for 2 folds)"
    assert printed.count(warning) == logged.count(warning) == 1
    assert logged.index(warning) < logged.index("extract ")


def test_a_vision_model_is_not_trained_on_unclassifiable_rows(tmp_path: Path, saved: Saved) -> None:
    from ..tiny import tiny_settings

    training = {"name": "tiny", "image_size": 8, "hidden_size": 16, "layers": 2, "heads": 2, "epochs": 1}
    raw = {
        "settings": tiny_settings(tmp_path, model_type="vit", max_samples=20, cv_folds=20),
        "vision_training": training,
        "models": [{"name": "tiny", "layers": [1]}],
        "sae_training": [{"architecture": "jumprelu", "d_sae": 32, "target_l0": 4}],
        "datasets": [{"name": "digits", "image_field": "image"}],
    }
    assert run_experiments(saved(raw)) == 1
    (failure,) = failures(tmp_path)
    assert failure.job == "vision model tiny"
    assert "classes have enough rows, but two are needed" in failure.reason
    assert "classify layer 1 jumprelu" in failure.not_done
    assert not (tmp_path / "models" / "tiny").exists()


@pytest.mark.parametrize(
    ("labels", "is_quantity"),
    [
        (["0.5", "1.5", "2.25"] * 30, False),  # few values
        ([str(i % 77) for i in range(200)], False),  # ids of classes
        ([str(1 + i % 77) for i in range(200)], False),
        ([str(1900 + i % 80) for i in range(200)], True),  # years
        ([str(1900 + i % 80) for i in range(8000)], False),  # of which each has many rows
        ([f"{i / 7:.3f}" for i in range(2000)], True),
        ([*map(str, range(20)), "nan"], False),
        ([*map(str, range(50, 90)), "other"], False),
    ],
)
def test_labels_that_look_like_a_quantity(labels: list[str], is_quantity: bool) -> None:
    assert bool(quantity_hint(labels, "label")) == is_quantity


def test_repeated_texts_are_given_as_the_reason(raw: Raw, saved: Saved, tmp_path: Path) -> None:
    """One text per class, which the split keeps on one side: more rows would not help."""
    rows = [{"text": ["a cat sat", "the dog ran"][i % 2], "label": "ab"[i % 2]} for i in range(60)]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run_experiments(saved(raw)) == 1
    (failure,) = failures(tmp_path)
    assert "60 of 60 rows share their text with another, and such rows stay on one side of the split" in failure.reason
