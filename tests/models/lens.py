"""TransformerLens models with the weights of our tiny models."""

from __future__ import annotations

from typing import Any

LAYERS = 4
ROTARY = {
    "normalization_type": "RMS",
    "positional_embedding_type": "rotary",
    "rotary_adjacent_pairs": False,
    "rotary_dim": 8,
    "n_key_value_heads": 2,
    "final_rms": True,
    "gated_mlp": True,
}
GEMMA2 = ROTARY | {
    "act_fn": "gelu_pytorch_tanh",
    "eps": 1e-6,
    "use_normalization_before_and_after": True,
    "attn_scores_soft_cap": 0.5,
    "output_logits_soft_cap": 30.0,
    "use_local_attn": True,
    "attn_types": ["local", "global"] * 2,
    "window_size": 4,
}
NEOX = {
    "act_fn": "gelu",
    "normalization_type": "LN",
    "positional_embedding_type": "rotary",
    "rotary_adjacent_pairs": False,
    "rotary_dim": 2,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "gpt2": {"act_fn": "gelu_new", "normalization_type": "LN", "d_mlp": 128},
    "llama": ROTARY | {"act_fn": "silu", "eps": 1e-6},
    "gemma2": GEMMA2,
    "pythia": NEOX | {"parallel_attn_mlp": True},
    "neox-sequential": NEOX,
}


def hooked_twin(kind: str, full_model: Any) -> Any:
    """Build a HookedTransformer with the unprocessed weights of a Hugging Face model with head."""
    from transformer_lens import HookedTransformer, HookedTransformerConfig
    from transformer_lens.pretrained import weight_conversions

    settings = {"eps": 1e-5, "d_mlp": 48} | SETTINGS[kind]
    cfg = HookedTransformerConfig(
        n_layers=LAYERS,
        d_model=32,
        n_heads=4,
        d_head=8,
        n_ctx=64,
        d_vocab=40,
        device="cpu",
        seed=0,
        **settings,
    )
    convert = {
        "gpt2": weight_conversions.convert_gpt2_weights,
        "llama": weight_conversions.convert_llama_weights,
        "gemma2": weight_conversions.convert_gemma_weights,
        "pythia": weight_conversions.convert_neox_weights,
        "neox-sequential": weight_conversions.convert_neox_weights,
    }[kind]
    hooked = HookedTransformer(cfg)
    missing, unexpected = hooked.load_state_dict(convert(full_model, cfg), strict=False)
    buffers = ("mask", "IGNORE", "rotary_sin", "rotary_cos", "b_U")
    assert not unexpected
    assert all(key.endswith(buffers) for key in missing), missing
    return hooked.eval()
