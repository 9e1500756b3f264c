"""Scorers from a configuration: settings, shared models, nothing loaded without need, and clear refusals."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from saefari.config.explanation import Explain
from saefari.errors import ConfigError
from saefari.interp.scorers.build import build_scorers, scorer_problems
from saefari.interp.scorers.simulation import AskingSimulator
from saefari.interp.scorers.token_simulator import TokenSimulator

from .language import load_language_model, save_language_model
from .planted import client_of

LOCAL = {"kind": "local", "model": "tiny"}
REMOTE = {"kind": "openai", "model": "big", "base_url": "https://example.org/v1", "max_tokens": 321, "temperature": 0.5}


def explain(scorers: list[str], client: dict[str, Any] | None = None) -> Explain:
    return Explain.model_validate({"scorers": scorers, "client": client})


def never() -> Any:
    raise AssertionError("loaded without need")


def test_scorers_in_the_order_of_the_configuration_without_loading_models() -> None:
    chosen = ["simulation", "detection", "intruder", "fuzzing"]
    found = build_scorers(
        explain(chosen, REMOTE), client=client_of(lambda request: ""), embedder=never, subject=never, sae=never
    )
    assert [scorer.name for scorer in found] == chosen
    assert [scorer.chance for scorer in found] == [0, 0.5, 0.2, 0.5]
    simulation: Any = found[0]
    assert isinstance(simulation._simulator, AskingSimulator)
    templates = [scorer._template for scorer in [simulation._simulator, *found[1:]]]  # type: ignore[attr-defined]
    assert {(one.max_tokens, one.temperature) for one in templates} == {(321, 0.5)}


@pytest.mark.parametrize(("client", "wanted"), [(REMOTE, 0), (LOCAL, 5), ({**REMOTE, "log_probabilities": True}, 5)])
def test_log_probabilities_are_asked_for_where_they_are_known_to_exist(client: dict[str, Any], wanted: int) -> None:
    found: Any = build_scorers(explain(["detection", "intruder"], client), client=client_of(lambda request: ""))
    assert [scorer._template.top_logprobs for scorer in found] == [wanted, 0]


def test_scorers_share_one_local_model(tmp_path: Path) -> None:
    language = load_language_model(save_language_model(tmp_path / "tiny-llama"))
    loads: list[int] = []

    def load() -> Any:
        loads.append(1)
        return language

    chosen = explain(["surprisal", "simulation", "intervention"], LOCAL)
    surprisal, simulation, intervention = build_scorers(  # type: Any
        chosen,
        language_model=load,
        subject=lambda: "subject",
        sae=lambda: "sae",
        seed=7,  # type: ignore[arg-type,return-value]
    )
    assert loads == [1]
    assert isinstance(simulation._simulator, TokenSimulator)  # type: ignore[attr-defined]
    assert intervention._judge._language is surprisal._likelihood._language is language  # type: ignore[attr-defined]
    assert surprisal._thread is simulation._simulator._thread is intervention._thread  # type: ignore[attr-defined]
    assert intervention._seed == 7  # type: ignore[attr-defined]


def test_without_a_local_model_the_explained_model_judges_itself() -> None:
    subject: Any = object()
    (found,) = build_scorers(explain(["intervention"], REMOTE), subject=lambda: subject, sae=lambda: "sae")  # type: ignore[arg-type,return-value]
    assert found._judge._language is subject  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("scorer", "message"),
    [
        ("detection", "detection needs a client"),
        ("simulation", "simulation needs a client"),
        ("surprisal", "explain.client.kind must be local"),
        ("intervention", "must be a text decoder"),
    ],
)
def test_a_scorer_that_lacks_what_it_needs_is_refused(scorer: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"explain\.scorers: {scorer} needs .*") as caught:
        build_scorers(explain([scorer], REMOTE))
    assert message in str(caught.value)


def test_problems_before_anything_is_loaded() -> None:
    every = ["embedding", "detection", "fuzzing", "intruder", "simulation", "surprisal", "intervention"]

    def named(found: Explain, **options: Any) -> list[str]:
        problems = scorer_problems(found, **options)
        assert all(problem.path == "explain.scorers" for problem in problems)
        return [problem.message.split()[0] for problem in problems]

    assert named(explain(every, LOCAL)) == []
    assert named(explain(every, REMOTE)) == ["surprisal"]
    assert named(explain(every, LOCAL), is_causal=False) == ["intervention"]
    assert named(explain(every, LOCAL), model_type="vit") == [
        "embedding",
        "fuzzing",
        "simulation",
        "surprisal",
        "intervention",
    ]


def test_the_import_of_scorers_loads_neither_torch_nor_transformers() -> None:
    code = "import json, sys, saefari.interp.scorers.build; print(json.dumps(sorted(sys.modules)))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "transformers", "sae_lens"} & set(json.loads(output))
