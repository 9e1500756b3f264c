"""Hook points: names, early stop of the forward pass, and removal of hooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch
from torch import nn

from saefari.errors import ModelError
from saefari.models.find_modules import ModuleTensor
from saefari.models.hooks import HookPoint, Site, capture, find_blocks, splice
from saefari.models.text_model import TextModel

from ..conftest import DECODERS, ENCODERS


@pytest.mark.parametrize("site", get_args(Site))
def test_names_round_trip(site: Site) -> None:
    hook = HookPoint(12, site)
    assert HookPoint.parse(hook.name) == hook


def test_names_are_transformer_lens_names() -> None:
    assert HookPoint.parse("blocks.3.hook_resid_post") == HookPoint(3, "resid_post")
    assert HookPoint.parse("blocks.3.attn.hook_z") == HookPoint(3, "attn_z")
    assert HookPoint.parse("blocks.3.hook_mlp_out") == HookPoint(3, "mlp_out")


@pytest.mark.parametrize(
    "name", ["hook_embed", "blocks.3.ln1.hook_normalized", "blocks.x.hook_mlp_out", "blocks.3.hook_z", ""]
)
def test_an_unknown_name_lists_the_known_ones(name: str) -> None:
    with pytest.raises(ModelError, match=r"not supported.*blocks\.L\.attn\.hook_z"):
        HookPoint.parse(name)


@pytest.mark.parametrize(("location", "site"), [("res", "resid_post"), ("mlp", "mlp_out"), ("att", "attn_z")])
def test_locations(location: Any, site: Site) -> None:
    assert HookPoint.for_location(5, location) == HookPoint(5, site)


def every_hook(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def test_the_pass_stops_after_the_deepest_layer(load_tiny: Callable[..., TextModel]) -> None:
    model = load_tiny("llama")
    ran: list[int] = []
    for layer, block in enumerate(find_blocks(model.model)):
        block.register_forward_pre_hook(lambda module, args, layer=layer: ran.append(layer))
    model.model.norm.register_forward_pre_hook(lambda module, args: ran.append(-1))
    ids = [model.tokenizer.tokenize(["the cat"], 8)[0].input_ids]
    model.capture(ids, [HookPoint(1, "resid_post"), HookPoint(0, "mlp_out")])
    ran.clear()
    model.capture(ids, [HookPoint(1, "resid_post"), HookPoint(0, "mlp_out")])
    assert ran == [0, 1]


def test_capturing_attention_does_not_run_the_mlp(load_tiny: Callable[..., TextModel]) -> None:
    model = load_tiny("llama")
    ids = [model.tokenizer.tokenize(["the cat"], 8)[0].input_ids]
    model.capture(ids, [HookPoint(2, "attn_z")])
    ran: list[str] = []
    model.model.layers[2].mlp.register_forward_pre_hook(lambda module, args: ran.append("mlp"))
    model.capture(ids, [HookPoint(2, "attn_z")])
    assert ran == []


def test_hooks_are_removed_after_a_pass(kind: str, load_tiny: Callable[..., TextModel]) -> None:
    model = load_tiny(kind)
    before = every_hook(model.model)
    model.capture(
        [model.tokenizer.tokenize(["a dog"], 8)[0].input_ids], [HookPoint(1, site) for site in ("attn_z", "mlp_out")]
    )
    assert every_hook(model.model) == before


def test_hooks_are_removed_after_an_error(load_tiny: Callable[..., TextModel]) -> None:
    model = load_tiny("gpt2").model
    with pytest.raises(RuntimeError, match="on purpose"), capture(model, [HookPoint(3, "attn_out")]):
        raise RuntimeError("on purpose")
    with pytest.raises(IndexError), capture(model, [HookPoint(3, "resid_post")]):
        model(input_ids=torch.tensor([[10_000]]))
    assert every_hook(model) == 0


def test_a_layer_beyond_the_model(load_tiny: Callable[..., TextModel]) -> None:
    with pytest.raises(ModelError, match=r"blocks\.4\.hook_resid_post: GPT2Model has the layers 0 to 3"):
        load_tiny("gpt2").capture([], [HookPoint(4, "resid_post")])


def test_layers_that_share_one_block_are_refused() -> None:
    from transformers import AlbertConfig, AlbertModel

    config = AlbertConfig(vocab_size=20, embedding_size=8, hidden_size=16, num_attention_heads=2, intermediate_size=16)
    with pytest.raises(ModelError, match="AlbertModel: found no list of 12 transformer blocks of one class"):
        find_blocks(AlbertModel(config))


def test_a_block_without_attention() -> None:
    from transformers import MambaConfig, MambaModel

    model = MambaModel(MambaConfig(vocab_size=20, hidden_size=16, num_hidden_layers=2, state_size=4))
    hooks = [HookPoint(1, "attn_z")]
    with pytest.raises(ModelError, match=r"hook_z: found no attention in MambaBlock"), capture(model, hooks):
        pytest.fail("the hook was accepted")
    assert every_hook(model) == 0


def test_the_output_of_a_mixture_of_experts_is_found() -> None:
    """A mixture of experts sums its experts, so its last matrix alone is not the MLP's output."""
    from transformers import MixtralConfig, MixtralModel

    config = MixtralConfig(
        vocab_size=20,
        hidden_size=16,
        intermediate_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        num_local_experts=4,
    )
    model = MixtralModel(config).eval()
    hooks = [HookPoint(1, site) for site in ("resid_mid", "mlp_out", "resid_post")]
    with torch.no_grad(), capture(model, hooks) as found:
        model(input_ids=torch.arange(5)[None])
    torch.testing.assert_close(found[hooks[0]] + found[hooks[1]], found[hooks[2]])


@pytest.mark.parametrize("kind", DECODERS)
def test_block_output_is_input_plus_attention_and_mlp(load_tiny: Callable[..., TextModel], kind: str) -> None:
    """In a pre-norm block, the output is the sum of input, attention output and MLP output."""
    model = load_tiny(kind)
    sites: list[Site] = ["resid_pre", "attn_out", "mlp_out", "resid_post"]
    before, attention, mlp, after = [HookPoint(2, site) for site in sites]
    found = model.capture(
        [model.tokenizer.tokenize(["the dog sat under a tree"], 16)[0].input_ids], [before, attention, mlp, after]
    )
    torch.testing.assert_close(found[before] + found[attention] + found[mlp], found[after], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ENCODERS)
def test_sites_of_a_bert_block(kind: str, load_tiny: Callable[..., TextModel]) -> None:
    model = load_tiny(kind)
    block = model.model.encoder.layer[2]
    hooks = [HookPoint(2, site) for site in get_args(Site)]
    at = {
        h.site: v for h, v in model.capture([model.tokenizer.tokenize(["the cat ran"], 16)[0].input_ids], hooks).items()
    }
    torch.testing.assert_close(at["resid_mid"], at["resid_pre"] + at["attn_out"])
    torch.testing.assert_close(block.attention.output.dense(at["attn_z"]), at["attn_out"])
    middle = block.attention.output.LayerNorm(at["resid_mid"])
    torch.testing.assert_close(block.output.dense(block.intermediate(middle)), at["mlp_out"])
    torch.testing.assert_close(block.output.LayerNorm(middle + at["mlp_out"]), at["resid_post"])


def test_later_layers_read_the_replaced_tensor(kind: str, load_tiny: Callable[..., TextModel]) -> None:
    model = load_tiny(kind)
    before = every_hook(model.model)
    ids = [model.tokenizer.tokenize(["the dog sat"], 16)[0].input_ids]
    source, reader = HookPoint(1, "resid_post"), HookPoint(2, "resid_pre")
    plain = model.capture(ids, [reader])[reader]
    with splice(model.model, source, lambda tensor: tensor * 2):
        torch.testing.assert_close(model.capture(ids, [reader])[reader], plain * 2)
    torch.testing.assert_close(model.capture(ids, [reader])[reader], plain)
    assert every_hook(model.model) == before


@pytest.mark.parametrize("side", ["input", "output"])
def test_other_items_of_a_tuple_are_kept(side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of older models return (hidden state, cache) and take the hidden state as a keyword."""

    class Block(nn.Module):
        def forward(self, hidden_states: torch.Tensor, scale: int) -> tuple[torch.Tensor, str]:
            return hidden_states * scale, "cache"

    block, x = Block(), torch.ones(1, 2, 3)
    monkeypatch.setattr("saefari.models.hooks._located", lambda model, hook: ModuleTensor(block, side))
    with splice(block, HookPoint(0, "resid_post"), lambda tensor: tensor + 1):
        for output in (block(x, 2), block(hidden_states=x, scale=2)):
            assert isinstance(output, tuple)
            assert output[1] == "cache"
            torch.testing.assert_close(output[0], x * 4 if side == "input" else x * 3)


def test_hooks_are_removed_after_a_failed_replacement(load_tiny: Callable[..., TextModel]) -> None:
    model = load_tiny("llama").model
    with pytest.raises(ZeroDivisionError), splice(model, HookPoint(1, "mlp_out"), lambda tensor: tensor * (1 // 0)):
        model(input_ids=torch.arange(4)[None])
    assert every_hook(model) == 0


def test_the_stream_between_attention_and_mlp_cannot_be_replaced(load_tiny: Callable[..., TextModel]) -> None:
    hook = HookPoint(1, "resid_mid")
    with pytest.raises(ModelError, match="cannot be replaced"), splice(load_tiny("llama").model, hook, torch.clone):
        pytest.fail("the hook was accepted")
