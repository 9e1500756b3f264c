"""Intervention: steering, ablation, bisection and score of a tiny model against plain computations with hooks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from saefari.interp.records import ExplanationError
from saefari.interp.scorers.intervention import PREFIX, InterventionScorer
from saefari.interp.scorers.presentation import explanation_text
from saefari.interp.steering import SteeredModel, ablate, steer
from saefari.interp.text_likelihood import TextLikelihood
from saefari.models.language_head import LanguageModel
from saefari.saes.load import LoadedSae, load_sae
from saefari.saes.ref import SaeRef

from .language import Plain, load_language_model, save_language_model
from .planted import EXPLANATION, planted_examples

LAYER = 1
PROMPTS = ["the tree walks", "music under paper cold", "river"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_language_model(tmp_path_factory.mktemp("models") / "tiny-llama")


@pytest.fixture(scope="module")
def language(folder: Path) -> LanguageModel:
    return load_language_model(folder)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory, save_sae: Callable[..., Any]) -> LoadedSae:
    folder = tmp_path_factory.mktemp("saes") / "sae"
    save_sae(folder, f"blocks.{LAYER}.hook_resid_post", 32)
    return load_sae(SaeRef(LAYER, "64", path=str(folder)))


class PlainEdited(Plain):
    """The plain model with a hook at the block's output that edits all positions after <s>."""

    def __init__(self, folder: Path, edit: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__(folder)
        self.edit = edit

    @contextmanager
    def edited(self) -> Iterator[None]:
        def change(module: Any, args: Any, output: Any) -> Any:
            hidden = (output[0] if isinstance(output, tuple) else output).clone()
            hidden[0, 1:] = self.edit(hidden[0, 1:])
            return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

        handle = self.model.model.layers[LAYER].register_forward_hook(change)
        try:
            yield
        finally:
            handle.remove()

    def last(self, ids: list[int]) -> np.ndarray:
        with self.edited():
            return self.log_probabilities(ids)[-1]

    def continued(self, prompt: str, n_tokens: int) -> str:
        ids = [1, *self.ids(prompt)]
        start = len(ids)
        for _ in range(n_tokens):
            ids.append(int(self.last(ids).argmax()))
        return str(self.tokenizer.decode(ids[start:], skip_special_tokens=True))


def most_ablated(language: LanguageModel, loaded: LoadedSae) -> int:
    """Return the latent that is most active at the end of the prompts."""
    rows = SteeredModel(language, loaded.hook, steer(loaded, 0)).rows(PROMPTS)
    states = language.text.capture([row.input_ids for row in rows], [loaded.hook])[loaded.hook]
    ends = torch.stack([state[len(row.input_ids) - 1] for state, row in zip(states, rows, strict=True)])
    return int(loaded.sae.encode(ends.clone()).mean(0).argmax())


def plain_edit(loaded: LoadedSae, latent: int, how: str, strength: float) -> Callable[[torch.Tensor], torch.Tensor]:
    direction = loaded.sae.W_dec[latent]

    def edit(hidden: torch.Tensor) -> torch.Tensor:
        if how == "steer":
            return hidden + strength * direction / direction.norm()
        return hidden - strength * loaded.sae.encode(hidden)[:, latent, None] * direction

    return edit


@pytest.mark.parametrize(("how", "wanted"), [("steer", 0.3), ("steer", 1.0), ("ablate", 0.05)])
def test_strength_and_continuations_are_those_of_the_plain_model(
    how: str, wanted: float, folder: Path, language: LanguageModel, loaded: LoadedSae
) -> None:
    latent = most_ablated(language, loaded)
    steered = SteeredModel(language, loaded.hook, (steer if how == "steer" else ablate)(loaded, latent))
    rows = steered.rows(PROMPTS)
    strength, reached = steered.strength_for(rows, wanted)
    plain = PlainEdited(folder, plain_edit(loaded, latent, how, strength))
    divergences = []
    for prompt in PROMPTS:
        ids = [1, *plain.ids(prompt)]
        clean, edited = plain.log_probabilities(ids)[-1], plain.last(ids)
        divergences.append(stats.entropy(np.exp(edited), np.exp(clean)))
    assert np.mean(divergences) == pytest.approx(reached, rel=1e-3)
    assert reached == pytest.approx(wanted, rel=0.01)
    assert steered.continuations(rows, 5, strength) == [plain.continued(prompt, 5) for prompt in PROMPTS]
    unchanged = PlainEdited(folder, lambda hidden: hidden)
    assert steered.continuations(rows, 5, 0.0) == [unchanged.continued(prompt, 5) for prompt in PROMPTS]


def test_ablation_of_an_inactive_latent_reaches_no_divergence(language: LanguageModel, loaded: LoadedSae) -> None:
    silenced = replace(loaded)
    rows_model = SteeredModel(language, loaded.hook, steer(loaded, 0))
    rows = rows_model.rows(PROMPTS)
    states = language.text.capture([row.input_ids for row in rows], [loaded.hook])[loaded.hook]
    activity = loaded.sae.encode(states.flatten(0, 1).clone()).amax(0)
    inactive = np.flatnonzero(activity.numpy() == 0)
    assert len(inactive)
    with pytest.raises(ExplanationError, match="no strength of the intervention"):
        SteeredModel(language, loaded.hook, ablate(silenced, int(inactive[0]))).strength_for(rows, 0.5)


def test_an_empty_prompt_is_refused(language: LanguageModel, loaded: LoadedSae) -> None:
    with pytest.raises(ExplanationError, match="no tokens"):
        SteeredModel(language, loaded.hook, steer(loaded, 0)).rows(["tree", ""])


@pytest.mark.parametrize("how", ["steer", "ablate"])
def test_the_score_is_the_mean_change_under_the_plain_judge(
    how: Any, folder: Path, language: LanguageModel, loaded: LoadedSae
) -> None:
    latent = most_ablated(language, loaded)
    examples = replace(planted_examples(n_active=12), latent=latent)
    scorer = InterventionScorer(
        language, loaded, TextLikelihood(language), how=how, divergence=0.05, n_tokens=4, seed=0
    )
    found = asyncio.run(scorer.score(examples, EXPLANATION))
    plain = PlainEdited(folder, plain_edit(loaded, latent, how, found.details["strength"]))
    unchanged = PlainEdited(folder, lambda hidden: hidden)
    ((_, prompts),) = scorer._known
    assert set(prompts) <= {"".join(one.tokens[: one.centre + 1]) for one in examples.test}
    changes = []
    for prompt in prompts:
        edited, clean = (
            plain.log_likelihood(PREFIX.format(model.continued(prompt, 4)), explanation_text(EXPLANATION))
            for model in (plain, unchanged)
        )
        changes.append(edited - clean if how == "steer" else clean - edited)
    assert found.value == pytest.approx(np.mean(changes), rel=1e-3, abs=1e-4)
    assert (found.n_active, found.n_inactive) == (10, 0)
    assert found.details["divergence"] == pytest.approx(0.05, rel=0.01)
    assert set(found.details["example"]) == {"prompt", "unchanged", "edited"}


class Judge:
    """Finds explanations more, or less, probable after a text that contains a word."""

    def __init__(self, word: str, gain: float) -> None:
        self.word = word
        self.gain = gain
        self.texts: list[str] = []

    def log_likelihoods(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        self.texts += [prefix for prefix, _ in pairs]
        return np.array([self.gain * (self.word in prefix) for prefix, _ in pairs])


@pytest.fixture(scope="module")
def promoting(
    language: LanguageModel, tmp_path_factory: pytest.TempPathFactory, save_sae: Callable[..., Any]
) -> LoadedSae:
    """An SAE at the last block whose latent 0 promotes the word "music"."""
    folder = tmp_path_factory.mktemp("saes") / "sae"
    save_sae(folder, "blocks.3.hook_resid_post", 32)
    loaded = load_sae(SaeRef(3, "64", path=str(folder)))
    token = language.text.tokenizer.tokenizer.convert_tokens_to_ids("music")
    head, norm = language.head.lm_head.weight, language.text.model.norm.weight
    loaded.sae.W_dec.data[0] = head[token] * norm
    return loaded


def test_oracle_and_adversary(language: LanguageModel, promoting: LoadedSae) -> None:
    examples = replace(planted_examples(), latent=0)
    values = []
    for gain in (3.0, 0.0, -3.0):
        scorer = InterventionScorer(language, promoting, Judge("music", gain), divergence=3.0)  # type: ignore[arg-type]
        found = asyncio.run(scorer.score(examples, EXPLANATION))
        values.append(found.value)
    assert "music" in found.details["example"]["edited"]
    assert values[0] > 1.5
    assert values[1] == 0
    assert values[2] == pytest.approx(-values[0])


def test_the_judge_sees_no_prompt_and_continuations_are_made_once(
    language: LanguageModel, promoting: LoadedSae, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = replace(planted_examples(), latent=0)
    judge = Judge("music", 1.0)
    scorer = InterventionScorer(language, promoting, judge)  # type: ignore[arg-type]
    first = asyncio.run(scorer.score(examples, EXPLANATION))
    texts = list(judge.texts)
    ((clean, edited, _),) = scorer._known.values()
    assert texts == [PREFIX.format(text) for text in (*clean, *edited)]
    assert "river" not in "".join(texts)
    monkeypatch.setattr(language, "log_probabilities", None)
    again = asyncio.run(scorer.score(examples, replace(EXPLANATION, sentence="Another one.")))
    assert judge.texts[len(texts) :] == texts
    assert again.details == first.details


def test_a_latent_that_the_sae_does_not_have(language: LanguageModel, loaded: LoadedSae) -> None:
    scorer = InterventionScorer(language, loaded, TextLikelihood(language))
    with pytest.raises(ExplanationError, match="has 64 latents"):
        asyncio.run(scorer.score(replace(planted_examples(), latent=64), EXPLANATION))
