"""Try it: texts that are refused, best_others, and answers that fail alone."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from app.pages.try_it.data.examples import LONGEST_TEXT, example_texts
from app.pages.try_it.parts.live_answer import probability_figure
from app.server import create_app
from app.shared.data.baselines import best_rows_of_other_sources
from app.shared.data.one_result import OneResult
from app.shared.data.tree import OutputTree
from saefari.classify.decisions import Contributions, Decision
from saefari.errors import ModelError
from saefari.store import SamplesWriter, write_split
from tests.app.small_results import write_result


def decision_of_a_probe() -> Decision:
    per_class = np.array([[0.1, -0.1], [-0.5, 0.5], [0.0, 0.0], [0.2, -0.2]])
    numbers, values, intercepts = np.array([7, 2, 5, 9]), np.array([1.0, 2.0, 3.0, 4.0]), np.array([-0.1, 0.1])
    found = Contributions(numbers, None, values, per_class, intercepts)
    return Decision(np.array([0.4, 0.6]), contributions=found)


def test_many_classes_are_the_ten_most_probable_and_the_others() -> None:
    probabilities = np.arange(1, 13) / 78
    [bars] = probability_figure([f"class <{i}>" for i in range(12)], probabilities).data
    assert len(bars.x) == 11
    assert sum(bars.x) == pytest.approx(1)
    assert bars.hovertext[0] == "class &lt;11&gt;: 15.4%"
    assert bars.hovertext[-1].startswith("2 others")


def row(source: str, run: str, cv: float, model: str = "m", dataset: str = "d") -> dict[str, Any]:
    place = {"model": model, "dataset": dataset, "task": f"{dataset}/train"}
    return {**place, "run": run, "classifier": "linear", "source": source, "cv_macro_f1": cv, "macro_f1": cv}


def test_baselines_are_the_best_of_other_sources_on_the_same_dataset_and_model() -> None:
    table = pd.DataFrame(
        [
            row("sae", "s", 0.9),
            row("hidden", "h1", 0.5),
            row("hidden", "h2", 0.6),
            row("hidden", "other model", 0.9, model="m2"),
            row("tfidf", "t", 0.4, model=""),
            row("tfidf", "other dataset", 0.9, model="", dataset="d2"),
            row("tfidf", "", 0.9, model=""),
            row("majority", "j", 0.1, model=""),
        ]
    )
    index: Any = SimpleNamespace(results=table)

    def best_others(place: int) -> list[str]:
        result: Any = SimpleNamespace(row=table.iloc[place])
        return [one.run for one in best_rows_of_other_sources(index, result)]

    assert best_others(0) == ["h2", "t"]
    assert best_others(2) == ["s", "t"]


def test_examples_are_test_rows_by_their_number_in_the_dataset(tmp_path: Path) -> None:
    folder = tmp_path / "activations" / "m" / "d" / "train"
    with SamplesWriter(folder, {}) as writer:
        for number in range(6):
            text = "x" * (LONGEST_TEXT + 1) if number == 5 else f"text {number}"
            tokens: dict[str, Any] = {"n_tokens": 0, "input_ids": [], "valid": [], "span_start": [], "span_end": []}
            writer.write({"row": 10 * number, "id": "", "text": text, "label": "x", "group": None, **tokens})
    write_split(folder, np.array([0, 1, 0, 1, -1, 1]), {}, [])
    with create_app(tmp_path).server.app_context():
        [found, *nothing] = [
            example_texts(cast(OneResult, SimpleNamespace(record=record)), 5)
            for record in ({"samples": ["m/d/train"]}, {}, {"samples": ["gone"]})
        ]
    assert [(one.row, one.text) for one in found] == [(10, "text 1"), (30, "text 3")]
    assert nothing == [[], []]


def answer(output: Path, text: str) -> str:
    """The box of the page's own result, as JSON text."""
    app = create_app(output)
    with app.server.app_context():
        from app.pages.try_it import page as try_it

        [run] = OutputTree(output).index().folders
        box = try_it._answer(text, [run, "linear", ""], {"name": "own"})
        return json.dumps(box, default=lambda one: one.to_plotly_json() if hasattr(one, "to_plotly_json") else str(one))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "No input yet."),
        (" \n", "Type a text first."),
        ("x" * (LONGEST_TEXT + 1), "20,001 characters"),
    ],
)
def test_rejected_texts_have_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected: str
) -> None:
    write_result(tmp_path, "m/d/train/layer_3/3k/sum")
    monkeypatch.setattr("app.engine.predict", lambda *_: pytest.fail("classified"))
    assert expected in answer(tmp_path, text)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ModelError("the model is not on this machine"), "the model is not on this machine"),
        (RuntimeError("no memory"), "RuntimeError: no memory"),
    ],
)
def test_a_failed_prediction_is_reported_in_its_box(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, expected: str
) -> None:
    write_result(tmp_path, "m/d/train/layer_3/3k/sum")

    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr("app.engine.predict", fail)
    assert expected in answer(tmp_path, "a text")


def test_an_answer_has_its_class_its_reasons_and_the_coloured_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_result(tmp_path, "m/d/train/layer_3/3k/sum")
    decision = decision_of_a_probe()
    codes = np.zeros((2, 10))
    codes[1, 2] = 1.5
    prediction = SimpleNamespace(
        classes=["a", "b"],
        probabilities=decision.probabilities,
        decision=decision,
        spans=np.array([[0, 3], [4, 8]]),
        codes=sparse.csr_array(codes),
    )
    monkeypatch.setattr("app.engine.predict", lambda *_: prediction)
    text = answer(tmp_path, "two <b>words</b>")
    assert '"children": "b", "id": "answer-own"' in text
    assert "latent 2: supports the prediction (rank 1)" in text
    assert "b (predicted)" in text or "contributions +0.200" in text
    assert '"latents": {"2": [[1], [1.5]], "evidence": [[0, 1], [0.0, 0.5]]}' in text
    assert "The model reads only the first 8 characters." in text
