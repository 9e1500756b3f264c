"""Explainers that ask a language model: which contexts they send, which answers they take, which they refuse."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from saefari.config.explanation import Prompting
from saefari.interp.clients.ask import Client
from saefari.interp.clients.client import Answer, ClientError, ImagePart, Request
from saefari.interp.explainers.contrastive import ContrastiveExplainer
from saefari.interp.explainers.prompted import MOST_IMAGES, PromptedExplainer
from saefari.interp.explainers.prompts.texts import VERSION
from saefari.interp.records import Context, Explanation, ExplanationError, LatentExamples
from tests.interp.explainers.pictures import picture

GOOD = '{"name": "colour words", "explanation": "Words for colours, such as red."}'


class Backend:
    """Gives its answers in order, the last one again and again, and keeps the requests."""

    model = "scripted"

    def __init__(self, *answers: str | Exception) -> None:
        self.settings: Mapping[str, Any] = {}
        self.answers = list(answers)
        self.requests: list[Request] = []

    async def complete(self, request: Request) -> Answer:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return Answer(answer, 10, 10)


def context(word: str, value: float) -> Context:
    return Context("made", 0, 0, ("a", f" {word}"), np.asarray([0, value], np.float32))


EXAMPLES = LatentExamples(
    5,
    explain=(context("seen", 2.0), context("shown", 1.0)),
    test=(context("secretactive", 2.0),),
    deciles=np.zeros(1, np.int8),
    inactive=(context("secretinactive", 0.0),),
    explain_inactive=(context("beside", 0.0),),
)


def client(*answers: str | Exception, **options: Any) -> Client:
    return Client(Backend(*answers), **{"first_pause": 0.001, "attempts": 2, **options})


def sent(of: Client) -> str:
    assert isinstance(of.backend, Backend)
    return "\n".join(str(part) for request in of.backend.requests for one in request.messages for part in one.parts)


@pytest.mark.parametrize("kind", [PromptedExplainer, ContrastiveExplainer])
@pytest.mark.parametrize("options", [Prompting(), Prompting(chain_of_thought=True, few_shot=False)])
def test_the_test_contexts_never_enter_the_prompt(kind: type[PromptedExplainer], options: Prompting) -> None:
    asked = client(GOOD)
    explanation = asyncio.run(kind(asked, options, max_tokens=77, temperature=0.3).explain(EXAMPLES))
    name = "prompted" if kind is PromptedExplainer else "contrastive"
    sentence = "Words for colours, such as red."
    assert explanation == Explanation("colour words", sentence, name, model="scripted", version=VERSION)
    assert "seen" in sent(asked)
    assert "shown" in sent(asked)
    assert "secret" not in sent(asked)
    assert ("beside" in sent(asked)) == (name == "contrastive")
    (request,) = asked.backend.requests  # type: ignore[attr-defined]
    assert (request.max_tokens, request.temperature) == (77, 0.3)


@pytest.mark.parametrize(
    "answer", [f"```json\n{GOOD}\n```", f"They are colours.\n\n{GOOD}", f"<think>{{hm}}</think>{GOOD}"]
)
def test_answers_with_something_around_the_json_are_read(answer: str) -> None:
    assert asyncio.run(PromptedExplainer(client(answer)).explain(EXAMPLES)).name == "colour words"


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "Colour words.",
        '{"name": "colours"}',
        '{"name": "", "explanation": "x"}',
        '{"name": ["a"], "explanation": "x"}',
        '{"name": "...", "explanation": "x"}',
        '{"name": "a", "explanation": "x"} {"name": "b", "explanation": "y"}',
        '{"name": "a", "explanation": "x',
        '{"name": "' + "a" * 101 + '", "explanation": "x"}',
    ],
)
def test_an_unusable_answer_is_asked_again_and_then_a_failure_with_its_text(answer: str) -> None:
    asked = client(answer)
    with pytest.raises(ExplanationError) as caught:
        asyncio.run(PromptedExplainer(asked).explain(EXAMPLES))
    assert caught.value.raw == answer
    assert asked.usage.requests == 2
    assert asyncio.run(PromptedExplainer(client(answer, GOOD)).explain(EXAMPLES)).name == "colour words"


def test_a_failed_request_is_a_failure() -> None:
    with pytest.raises(ClientError):
        asyncio.run(PromptedExplainer(client(ClientError("no credit", is_final=True))).explain(EXAMPLES))


def test_promoted_tokens_are_shown_if_wanted() -> None:
    shown, hidden = client(GOOD), client(GOOD)

    def promoted(latent: int) -> list[str]:
        return [f"promoted{latent}"]

    asyncio.run(PromptedExplainer(shown, Prompting(promoted_tokens=True), promoted).explain(EXAMPLES))
    asyncio.run(PromptedExplainer(hidden, Prompting(), promoted).explain(EXAMPLES))
    assert "promoted5" in sent(shown)
    assert "promoted5" not in sent(hidden)


def test_nothing_to_show_is_a_failure() -> None:
    silent = LatentExamples(5, (context("a", 0.0),), (), np.zeros(0, np.int8), ())
    with pytest.raises(ExplanationError, match="no active contexts"):
        asyncio.run(PromptedExplainer(client(GOOD)).explain(silent))
    with pytest.raises(ExplanationError, match="no inactive contexts"):
        asyncio.run(
            ContrastiveExplainer(client(GOOD)).explain(LatentExamples(**{**vars(EXAMPLES), "explain_inactive": ()}))
        )


def test_images_need_a_model_that_reads_them() -> None:
    pictures = tuple(picture(row, [row % 36]) for row in range(40))
    examples = LatentExamples(5, pictures, (), np.zeros(0, np.int8), (), explain_inactive=(picture(50, []),))
    with pytest.raises(ExplanationError, match="scripted does not read"):
        asyncio.run(PromptedExplainer(client(GOOD)).explain(examples))
    for kind, n in ((PromptedExplainer, MOST_IMAGES), (ContrastiveExplainer, MOST_IMAGES + 1)):
        asked = client(GOOD, vision=True)
        assert asyncio.run(kind(asked).explain(examples)).name == "colour words"
        (request,) = asked.backend.requests  # type: ignore[attr-defined]
        assert sum(isinstance(part, ImagePart) for part in request.messages[-1].parts) == n
