"""A language model's losses against Hugging Face's logits, and detection of checkpoints without head."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from saefari.models import language_head as language
from saefari.models.hooks import HookPoint
from saefari.models.language_head import LanguageModel, NoLanguageHead
from saefari.models.text_model import TextModel
from saefari.models.tokenizer import Tokens

from ..conftest import DECODERS, ENCODERS, config_of, random_weights, tokenizer_of

HOOK = HookPoint(1, "resid_post")


def row(input_ids: Any, valid: Any) -> Tokens:
    return Tokens(np.array(input_ids, np.int32), np.array(valid, np.int32), np.zeros((len(valid), 2), np.int32))


@pytest.fixture
def rows() -> list[Tokens]:
    """Rows of length 1 to 14; some start with a valid token, some have gaps, one has no valid position."""
    generator = np.random.default_rng(0)
    built = [row([1, *generator.integers(3, 40, n)], range(1, n + 1)) for n in (13, 2, 7)]
    built += [row(generator.integers(3, 40, 9), range(9)), row(generator.integers(3, 40, 8), [2, 3, 6]), row([5], [0])]
    return built


def whole_model(model: LanguageModel) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(model.text.info.name).eval()


def expected_losses(model: LanguageModel, tokens: Tokens) -> list[float]:
    """Compute the cross-entropy from the full model's logits, one text at a time."""
    ids = torch.from_numpy(tokens.input_ids).long()
    with torch.no_grad():
        probabilities = whole_model(model)(input_ids=ids[None]).logits[0].softmax(-1)
    return [-math.log(probabilities[index - 1, ids[index]]) for index in tokens.valid if index > 0]


@pytest.mark.parametrize("kind", DECODERS)
def test_losses_match_the_models_logits(
    kind: str, load_tiny_language: Callable[..., LanguageModel], rows: list[Tokens]
) -> None:
    model = load_tiny_language(kind)
    expected = [loss for tokens in rows for loss in expected_losses(model, tokens)]
    assert len(expected) == 13 + 2 + 7 + 8 + 3
    assert model.losses(rows).tolist() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("edit", [None, lambda x: x.cumsum(-1)])
@pytest.mark.parametrize("kind", ["gpt2", "llama", "gemma2", "pythia"])
def test_a_batch_equals_single_rows(
    kind: str, edit: Any, load_tiny_language: Callable[..., LanguageModel], rows: list[Tokens]
) -> None:
    model = load_tiny_language(kind)
    alone = torch.cat([model.losses([tokens], HOOK, edit) for tokens in rows])
    torch.testing.assert_close(model.losses(rows, HOOK, edit), alone, rtol=1e-4, atol=1e-5)


def test_slicing_the_logits_does_not_change_the_losses(
    load_tiny_language: Callable[..., LanguageModel], rows: list[Tokens], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_tiny_language("gemma2")
    seen: list[int] = []
    model.head.lm_head.register_forward_hook(lambda module, args, output: seen.append(len(output[0])))
    expected = model.losses(rows)
    monkeypatch.setattr(language, "LOGIT_ELEMENTS", 4 * 40)
    torch.testing.assert_close(model.losses(rows), expected)
    assert seen == [33, *[4] * 8, 1]


def test_only_valid_positions_are_replaced(
    load_tiny_language: Callable[..., LanguageModel], rows: list[Tokens]
) -> None:
    model = load_tiny_language("llama")
    after = HookPoint(2, "resid_pre")
    given: list[torch.Tensor] = []

    def edit(hidden: torch.Tensor) -> torch.Tensor:
        given.append(hidden)
        return hidden.double() + 1

    ids = [tokens.input_ids for tokens in rows]
    plain = model.text.capture(ids, [after])[after]
    seen: list[torch.Tensor] = []
    handle = model.text.model.layers[2].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    model.losses(rows, HOOK, edit)
    handle.remove()
    for i, tokens in enumerate(rows):
        changed = (seen[0][i] - plain[i]).mean(-1)[: len(tokens.input_ids)]
        expected = np.isin(np.arange(len(tokens.input_ids)), tokens.valid).astype(np.float32)
        torch.testing.assert_close(changed, torch.from_numpy(expected), rtol=0, atol=1e-5)
    valid = [plain[i, index] for i, tokens in enumerate(rows) for index in tokens.valid]
    torch.testing.assert_close(given[0], torch.stack(valid))


@pytest.mark.parametrize("kind", ["gpt2", "llama", "gemma2", "pythia"])
def test_log_probabilities_of_the_next_token_match_the_models_logits(
    kind: str, load_tiny_language: Callable[..., LanguageModel], rows: list[Tokens]
) -> None:
    model = load_tiny_language(kind)
    positions = [
        np.array([0, 5, 13]),
        np.array([2]),
        np.array([], np.int64),
        *[np.array([len(r.input_ids) - 1]) for r in rows[3:]],
    ]
    expected = []
    for tokens, chosen in zip(rows, positions, strict=True):
        with torch.no_grad():
            logits = whole_model(model)(input_ids=torch.from_numpy(tokens.input_ids).long()[None]).logits[0]
        expected.append(logits[chosen.tolist()].log_softmax(-1))
    torch.testing.assert_close(model.log_probabilities(rows, positions), torch.cat(expected), rtol=1e-4, atol=1e-4)


def test_log_probabilities_with_replaced_hidden_states_are_those_of_the_losses(
    load_tiny_language: Callable[..., LanguageModel],
) -> None:
    model = load_tiny_language("llama")
    tokens = row([1, 7, 9, 4], [1, 2, 3])

    def edit(hidden: torch.Tensor) -> torch.Tensor:
        return hidden * 2 + 1

    found = model.log_probabilities([tokens], [np.array([0, 1, 2])], HOOK, edit)
    losses = model.losses([tokens], HOOK, edit)
    torch.testing.assert_close(-found[torch.arange(3), torch.tensor([7, 9, 4])], losses, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(losses, model.losses([tokens]))


def test_rows_without_targets(load_tiny_language: Callable[..., LanguageModel]) -> None:
    assert load_tiny_language("gpt2").losses([row([5], [0]), row([5, 6], [])]).shape == (0,)


@pytest.mark.parametrize("kind", ["gpt2", "llama", "pythia"])
@pytest.mark.parametrize("tied", [True, False])
def test_the_head_comes_from_the_checkpoint(
    kind: str, tied: bool, load_tiny_language: Callable[..., LanguageModel], rows: list[Tokens]
) -> None:
    model = load_tiny_language(kind, tied)
    assert model.losses(rows[:1]).tolist() == pytest.approx(expected_losses(model, rows[0]), rel=1e-4)
    names = [name for name, _ in model.head.named_parameters()]
    assert len(names) == 1, "the head brings no second copy of the blocks"
    assert not any(parameter.requires_grad for parameter in model.head.parameters())


def test_a_tied_head_needs_no_own_weights(load_tiny: Callable[..., TextModel]) -> None:
    model = load_tiny("gpt2")
    head = LanguageModel.of(model).head.lm_head
    torch.testing.assert_close(head.weight, model.model.wte.weight)


@pytest.mark.parametrize("kind", ["llama", "pythia"])
def test_a_checkpoint_saved_without_its_head(kind: str, load_tiny: Callable[..., TextModel]) -> None:
    with pytest.raises(NoLanguageHead, match="hold no language-modelling head"):
        LanguageModel.of(load_tiny(kind))


@pytest.mark.parametrize("kind", ENCODERS)
def test_an_encoder_with_a_head_has_no_language_head(kind: str, tmp_path: Path) -> None:
    random_weights(transformers.AutoModelForMaskedLM.from_config(config_of(kind))).save_pretrained(tmp_path)
    tokenizer_of(kind).save_pretrained(tmp_path)
    with pytest.raises(NoLanguageHead, match="is an encoder"):
        LanguageModel.of(TextModel.load(str(tmp_path), device="cpu"))


def test_a_mixture_of_experts(tmp_path: Path, rows: list[Tokens]) -> None:
    """The blocks of a mixture of experts return more than hidden states."""
    config = transformers.MixtralConfig(
        **config_of("mistral").to_dict() | {"num_local_experts": 4, "output_router_logits": False}
    )
    random_weights(transformers.MixtralForCausalLM(config)).save_pretrained(tmp_path)
    tokenizer_of("mistral").save_pretrained(tmp_path)
    model = LanguageModel.of(TextModel.load(str(tmp_path), device="cpu"))
    assert model.losses(rows[:1]).tolist() == pytest.approx(expected_losses(model, rows[0]), rel=1e-4)


def test_the_head_has_the_precision_of_the_blocks(tmp_path: Path, rows: list[Tokens]) -> None:
    random_weights(transformers.AutoModelForCausalLM.from_config(config_of("llama"))).save_pretrained(tmp_path)
    tokenizer_of("llama").save_pretrained(tmp_path)
    model = LanguageModel.of(TextModel.load(str(tmp_path), device="cpu", dtype="bfloat16"))
    assert model.head.lm_head.weight.dtype == torch.bfloat16
    losses = model.losses(rows[:1])
    assert losses.dtype == torch.float32
    assert losses.tolist() == pytest.approx(expected_losses(model, rows[0]), rel=0.1)
