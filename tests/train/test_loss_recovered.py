"""Loss recovered against TransformerLens on the same weights, and for a perfect and a zero SAE."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch.nn.functional import cross_entropy

from saefari.errors import ModelError
from saefari.models.hooks import HookPoint
from saefari.models.language_head import LanguageModel
from saefari.saes.load import LoadedSae
from saefari.saes.ref import SaeRef
from saefari.store import TokenisedRow
from saefari.train.loss_recovered import CrossEntropy, LossRecovered, reconstructed

from ..models.lens import hooked_twin
from ..saes.conftest import build
from .conftest import ListedRows

KINDS = ["gpt2", "llama", "gemma2", "pythia"]
HOOK = HookPoint(1, "resid_post")
LoadLanguage = Callable[..., LanguageModel]


@pytest.fixture(scope="module")
def rows(listed_rows: ListedRows) -> list[TokenisedRow]:
    """30 texts of 2 to 12 tokens, of which the first is not valid, and two without valid tokens."""
    return [
        TokenisedRow(np.array([5], np.int32), np.array([0], np.int32)),
        *listed_rows.rows[:30],
        TokenisedRow(*[np.zeros(0, int)] * 2),
    ]


def _row(input_ids: tuple[int, ...], valid: tuple[int, ...]) -> TokenisedRow:
    return TokenisedRow(np.array(input_ids, np.int32), np.array(valid, np.int32))


def random_sae(hook: HookPoint = HOOK, **config: Any) -> LoadedSae:
    loaded = build("jumprelu", d_in=32, d_sae=64, **config)
    loaded.hook = hook
    return loaded


def identity_sae(hook: HookPoint = HOOK, center: bool = False) -> LoadedSae:
    """Build an SAE with latents for +x and -x that reconstructs x exactly."""
    loaded = build("standard", d_in=32, d_sae=64, center=center)
    eye = torch.eye(32)
    weights = {"W_enc": torch.cat([eye, -eye], 1), "W_dec": torch.cat([eye, -eye]), "b_enc": 0, "b_dec": 0}
    for name, value in weights.items():
        loaded.sae.state_dict()[name].copy_(torch.as_tensor(value))
    return LoadedSae(SaeRef(1, "64", path="sae"), loaded.sae, hook, center)


def zero_sae() -> LoadedSae:
    loaded = identity_sae()
    loaded.sae.W_dec.zero_()
    return loaded


@pytest.mark.filterwarnings("ignore:HookedTransformer is deprecated:DeprecationWarning")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("site", ["resid_post", "mlp_out", "attn_z"])
def test_losses_match_transformer_lens(
    kind: str, site: Any, load_tiny_language: LoadLanguage, rows: list[TokenisedRow]
) -> None:
    pytest.importorskip("transformer_lens", reason="TransformerLens comes with sae-lens")
    model, loaded = load_tiny_language(kind), random_sae(HookPoint(2, site))
    hooked = hooked_twin(kind, transformers.AutoModelForCausalLM.from_pretrained(model.text.info.name))

    def rebuild(tensor: torch.Tensor, hook: Any) -> torch.Tensor:
        return splice(tensor, loaded.sae.decode(loaded.sae.encode(tensor.flatten(2))))

    def ablate(tensor: torch.Tensor, hook: Any) -> torch.Tensor:
        return splice(tensor, torch.zeros_like(tensor))

    def splice(tensor: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return torch.cat([tensor[:, :1], other.view_as(tensor)[:, 1:]], 1)

    def nats(fwd_hooks: Any) -> float:
        total = []
        for row in rows[1:-1]:
            ids = torch.from_numpy(row.input_ids).long()
            with torch.no_grad():
                logits = hooked.run_with_hooks(ids[None], fwd_hooks=fwd_hooks)[0]
            total += cross_entropy(logits[:-1], ids[1:], reduction="none").tolist()
        return float(np.mean(total))

    found = LossRecovered(model, rows, 64).measure(loaded)
    assert found is not None
    assert found.clean == pytest.approx(nats([]), rel=1e-4)
    assert found.spliced == pytest.approx(nats([(loaded.hook.name, rebuild)]), rel=1e-4)
    assert found.zero == pytest.approx(nats([(loaded.hook.name, ablate)]), rel=1e-4)
    assert found.n_tokens == sum(len(row.valid) for row in rows[1:-1])


def test_a_first_token_that_counts_is_not_predicted(load_tiny_language: LoadLanguage) -> None:
    """As of GPT-2 without BOS: three and one of the tokens have one before them."""
    model, rows = load_tiny_language("gpt2"), [_row((5, 6, 7, 8), (0, 1, 2, 3)), _row((9, 4, 3), (0, 2))]
    found = LossRecovered(model, rows, 64).measure(random_sae())
    assert found is not None
    assert found.n_tokens == 4
    assert found.clean == pytest.approx(torch.cat([model.losses([row]) for row in rows]).mean().item(), rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("center", [False, True])
def test_a_perfect_sae_recovers_everything(
    kind: str, center: bool, load_tiny_language: LoadLanguage, rows: list[TokenisedRow]
) -> None:
    """Also with centred inputs, whose mean is added back."""
    found = LossRecovered(load_tiny_language(kind), rows, 64).measure(identity_sae(center=center))
    assert found is not None
    assert found.spliced == pytest.approx(found.clean, rel=1e-4)
    assert found.recovered == pytest.approx(1, abs=0.01)
    assert found.zero != pytest.approx(found.clean, rel=0.001)


def test_an_sae_that_gives_zeros_recovers_nothing(load_tiny_language: LoadLanguage, rows: list[TokenisedRow]) -> None:
    found = LossRecovered(load_tiny_language("gpt2"), rows, 64).measure(zero_sae())
    assert found is not None
    assert found.recovered == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_results_do_not_depend_on_batches(
    kind: str, load_tiny_language: LoadLanguage, rows: list[TokenisedRow]
) -> None:
    model = load_tiny_language(kind)
    one, many = (LossRecovered(model, rows, budget).measure(random_sae()) for budget in (1, 10_000))
    assert one is not None
    assert many is not None
    assert one.summary() == pytest.approx(many.summary(), rel=1e-4)


def test_shared_results_are_computed_once(
    load_tiny_language: LoadLanguage, rows: list[TokenisedRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[Any] = []
    losses = LanguageModel.losses
    monkeypatch.setattr(
        LanguageModel, "losses", lambda self, chosen, *edit: passes.append(edit[0]) or losses(self, chosen, *edit)
    )
    other = HookPoint(2, "mlp_out")
    recovered = LossRecovered(load_tiny_language("gpt2"), rows, 10_000)
    measured = [recovered.measure(sae) for sae in (random_sae(), identity_sae(), random_sae(other))]
    assert passes.count(None) == 1
    assert passes.count(HOOK) == 3
    assert passes.count(other) == 2
    assert len({found.clean for found in measured if found}) == 1
    assert len({found.zero for found in measured if found}) == 2


def test_no_target_tokens(load_tiny_language: LoadLanguage, rows: list[TokenisedRow]) -> None:
    model = load_tiny_language("gpt2")
    assert LossRecovered(model, [rows[0], rows[-1]], 64).measure(random_sae()) is None
    assert LossRecovered(model, [], 64).measure(random_sae()) is None


def test_out_of_memory_makes_smaller_batches(
    load_tiny_language: LoadLanguage, rows: list[TokenisedRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_tiny_language("gpt2")
    expected = LossRecovered(model, rows, 10_000).measure(random_sae())
    losses, fits = LanguageModel.losses, []

    def small_memory(self: LanguageModel, chosen: Any, *edit: Any) -> torch.Tensor:
        fits.append(len(chosen) * max(len(row.input_ids) for row in chosen) <= 50)
        if not fits[-1]:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return losses(self, chosen, *edit)

    monkeypatch.setattr(LanguageModel, "losses", small_memory)
    recovered = LossRecovered(model, rows, 200)
    found = recovered.measure(random_sae())
    assert found is not None
    assert expected is not None
    assert found.summary() == pytest.approx(expected.summary(), rel=1e-4)
    assert fits.count(False) <= 3, "a lowered budget is kept"
    assert recovered.batches.max_tokens <= 50


def test_a_single_text_that_does_not_fit_is_an_error(
    load_tiny_language: LoadLanguage, rows: list[TokenisedRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(LanguageModel, "losses", no_memory)
    with pytest.raises(ModelError, match="a single row of 12 positions does not fit"):
        LossRecovered(load_tiny_language("gpt2"), rows, 200).measure(random_sae())


def test_the_definition_of_recovered() -> None:
    figures = CrossEntropy(clean=2.0, spliced=3.0, zero=6.0, n_tokens=10)
    assert figures.summary() == {"clean": 2.0, "spliced": 3.0, "zero": 6.0, "n_tokens": 10, "recovered": 0.75}
    assert CrossEntropy(2.0, 2.0, 2.0, 10).recovered is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_reconstruction_is_in_the_space_of_hidden_states(dtype: torch.dtype) -> None:
    hidden = (torch.randn(7, 32, generator=torch.Generator().manual_seed(0)) + 3).to(dtype)
    rebuilt = reconstructed(identity_sae(center=True), hidden)
    assert rebuilt.dtype == torch.float32
    torch.testing.assert_close(rebuilt, hidden.float(), rtol=1e-4, atol=1e-4)
