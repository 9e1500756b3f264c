"""Search in the installed catalogue, and its errors."""

from __future__ import annotations

import subprocess
import sys

import pytest

from saefari.errors import SaeError
from saefari.models.hooks import HookPoint
from saefari.saes.catalogue import find_sae, widths_at
from saefari.saes.entries import entries, model_key, width_names

CHOICES = [
    ("google/gemma-2b", 6, "16k", "res", "gemma-2b-res-jb", "blocks.6.hook_resid_post"),
    ("google/gemma-2b", 12, "16k", "res", "gemma-2b-res-jb", "blocks.12.hook_resid_post"),
    ("google/gemma-2b", 17, "16k", "res", "gemma-2b-res-jb", "blocks.17.hook_resid_post"),
    ("google/gemma-2-2b", 5, "16k", "res", "gemma-scope-2b-pt-res-canonical", "layer_5/width_16k/canonical"),
    ("gemma-2-2b", 12, "65k", "res", "gemma-scope-2b-pt-res-canonical", "layer_12/width_65k/canonical"),
    (
        "google/gemma-2-2b",
        19,
        "64k",
        "mlp",
        "gemma-scope-2b-pt-mlp-canonical",
        "layer_19/width_65k/canonical",
    ),
    (
        "google/gemma-2-2b",
        12,
        "16384",
        "att",
        "gemma-scope-2b-pt-att-canonical",
        "layer_12/width_16k/canonical",
    ),
    (
        "google/gemma-2-9b",
        20,
        "131k",
        "res",
        "gemma-scope-9b-pt-res-canonical",
        "layer_20/width_131k/canonical",
    ),
    (
        "google/gemma-2-9b-it",
        20,
        "16k",
        "res",
        "gemma-scope-9b-it-res-canonical",
        "layer_20/width_16k/canonical",
    ),
    ("openai-community/gpt2", 8, "24k", "res", "gpt2-small-res-jb", "blocks.8.hook_resid_pre"),
    ("gpt2", 11, "24k", "res", "gpt2-small-res-jb", "blocks.11.hook_resid_post"),
    ("gpt2", 8, "32k", "res", "gpt2-small-resid-post-v5-32k", "blocks.8.hook_resid_post"),
    ("gpt2", 8, "768", "res", "gpt2-small-res-jb-feature-splitting", "blocks.8.hook_resid_pre_768"),
    ("gpt2", 7, "49k", "att", "gpt2-small-hook-z-kk", "blocks.7.hook_z"),
    (
        "EleutherAI/pythia-70m-deduped",
        3,
        "32k",
        "res",
        "pythia-70m-deduped-res-sm",
        "blocks.3.hook_resid_post",
    ),
    (
        "EleutherAI/pythia-70m-deduped",
        0,
        "32k",
        "res",
        "pythia-70m-deduped-res-sm",
        "blocks.0.hook_resid_post",
    ),
    ("mistralai/Mistral-7B-v0.1", 16, "65k", "res", "mistral-7b-res-wg", "blocks.16.hook_resid_pre"),
    ("meta-llama/Llama-3.1-8B", 15, "32k", "res", "llama_scope_lxr_8x", "l15r_8x"),
    ("meta-llama/Meta-Llama-3.1-8B", 15, "128k", "mlp", "llama_scope_lxm_32x", "l15m_32x"),
    ("google/gemma-3-1b-pt", 13, "65k", "res", "gemma-scope-2-1b-pt-res", "layer_13_width_65k_l0_medium"),
    ("Qwen/Qwen3-8B-Base", 10, "64k", "res", "qwen-scope-3-8b-base-w64k-l100", "layer10"),
]


@pytest.mark.parametrize(("model", "layer", "width", "location", "release", "sae_id"), CHOICES)
def test_find_sae(model: str, layer: int, width: str, location: str, release: str, sae_id: str) -> None:
    ref = find_sae(model, layer, width, location)  # type: ignore[arg-type]
    assert (ref.release, ref.sae_id) == (release, sae_id)
    assert ref.width == width
    assert HookPoint.parse(str(ref.hook)).layer == layer


def test_a_reference_has_the_catalogue_figures() -> None:
    ref = find_sae("google/gemma-2b", 6, "16k", "res")
    assert ref.expected_variance_explained == pytest.approx(0.71)
    assert ref.expected_l0 == 56
    assert ref.neuronpedia_id == "gemma-2b/6-res-jb"


def test_placeholder_of_explained_variance_is_ignored() -> None:
    assert find_sae("google/gemma-2-2b", 12, "16k", "res").expected_variance_explained is None
    assert all(entry.variance_explained is None or entry.variance_explained < 1 for entry in entries())


def test_an_explicit_release_may_be_of_a_related_model() -> None:
    ref = find_sae("google/gemma-2-2b-it", 6, "16k", "res", release="gemma-scope-2b-pt-res")
    assert ref.release == "gemma-scope-2b-pt-res"
    assert ref.sae_id == "layer_6/width_16k/average_l0_70"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("google/gemma-2-3b", 1, "16k", "res"), r"google/gemma-2-3b.*did you mean 'gemma-2-.*sae_train"),
        (("google/gemma-2-2b", 40, "16k", "res"), r"layer 40.*available layers: 0, 1, 2, .*25$"),
        (
            ("google/gemma-2-2b", 12, "17k", "res"),
            r"'17k'.*at layer 12; available widths: 4k, 16k, 32k, 65k, 131k",
        ),
        (("google/gemma-2b", 6, "16k", "mlp"), r"'mlp'.*available locations: res$"),
        (
            ("gpt2", 6, "24k", "res", "gpt2-small-res-jp"),
            r"no such release \(did you mean 'gpt2-small-res-jb'\?\)",
        ),
        (("gpt2", 6, "24k", "res", "gemma-scope-2b-pt-transcoders"), "contains transcoders"),
    ],
)
def test_errors_list_the_available_values(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(SaeError, match=message):
        find_sae(*arguments)  # type: ignore[arg-type]


def test_widths_at_a_location_ascend() -> None:
    assert widths_at("google/gemma-2-2b", 12, "mlp") == ["16k", "65k"]
    assert widths_at("gpt2", 8, "res", release="gpt2-small-res-jb") == ["24k"]
    with pytest.raises(SaeError, match="layer 40"):
        widths_at("google/gemma-2-2b", 40, "res")


def test_every_sae_of_the_catalogue_has_a_known_location_and_width() -> None:
    assert len(entries()) > 5000
    assert {entry.release for entry in entries() if entry.d_sae is None} == set()
    assert all(HookPoint.parse(entry.hook_name).layer == entry.layer for entry in entries())


def test_transcoders_are_not_offered() -> None:
    for entry in entries():
        assert "transcoder" not in entry.release
        assert "_step_" not in entry.sae_id
        assert "embedding" not in entry.sae_id
        assert not entry.release.startswith("temporal")


def test_widths_have_several_names() -> None:
    assert width_names(65536) == ("65k", "64k", "65536")
    assert width_names(1048576) == ("1m", "1024k", "1048576")
    assert width_names(768) == ("768",)


def test_models_have_several_names() -> None:
    assert model_key("google/Gemma-2-2B") == model_key("./models/gemma-2-2b/") == "gemma-2-2b"
    assert model_key("openai-community/gpt2") == "gpt2-small"


def test_searching_imports_neither_sae_lens_nor_torch() -> None:
    code = (
        "import sys; from saefari.saes.catalogue import find_sae; find_sae('gpt2', 8, '24k', 'res'); "
        "assert not {'sae_lens', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_model_given_as_release_selects_its_releases() -> None:
    ref = find_sae("Intel/llava-gemma-2b", 12, "16k", "res", release="gemma-2b")
    assert (ref.release, ref.sae_id) == ("gemma-2b-res-jb", "blocks.12.hook_resid_post")
