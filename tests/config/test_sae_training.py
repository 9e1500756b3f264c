"""SAEs to train: sweeps, the names of their SAEs, and errors with their place."""

from __future__ import annotations

from typing import Any

import pytest

from saefari.config import Config, SaeTraining, parse_config
from saefari.errors import ConfigError, SaeError

MODEL = {"name": "m", "layers": [1]}
JUMPRELU = {"architecture": "jumprelu", "d_sae": 128}


def parse(*entries: dict[str, Any], **sections: Any) -> Config:
    raw = {"models": [MODEL], "datasets": [{"name": "d", "text_field": "text"}], "sae_training": list(entries)}
    return parse_config(raw | sections)


def error_text(*entries: dict[str, Any], **sections: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(*entries, **sections)
    return str(caught.value)


def names(*entries: dict[str, Any]) -> list[str]:
    return [name for _, name, _ in parse(*entries).swept()]


def test_every_combination_has_a_name() -> None:
    assert names({"d_sae": 64}) == ["batchtopk"]
    assert names({"d_sae": [64], "k": 8}) == ["batchtopk-d64"]
    assert names({"d_sae": [64, 128], "k": [8, 16]}) == [
        "batchtopk-d64-k8",
        "batchtopk-d64-k16",
        "batchtopk-d128-k8",
        "batchtopk-d128-k16",
    ]
    assert names(JUMPRELU | {"lr": [1e-3], "target_l0": [8, 16.5], "l0_coefficient": [1]}) == [
        "jumprelu-l0c_1-l0_8-lr0.001",
        "jumprelu-l0c_1-l0_16.5-lr0.001",
    ]
    assert names({"name": "mine", "architecture": "standard", "d_sae": 64, "l1_coefficient": [0.03, 1e7]}) == [
        "mine-l1_0.03",
        "mine-l1_1e07",  # folder names have no plus sign
    ]


def test_options_of_a_sweep_reach_every_sae() -> None:
    common = {"n_positions": 5000, "batch_size": 128, "buffer_size": 512, "normalize_activations": "layer_norm"}
    entry = JUMPRELU | common | {"target_l0": [8, 16], "lr": 0.01}
    wanted = [SaeTraining(**JUMPRELU, **common, target_l0=target, lr=0.01) for target in (8, 16)]
    assert [(i, training) for i, _, training in parse({"d_sae": 64}, entry).swept()][1:] == [(1, w) for w in wanted]
    assert {training.stream for training in wanted} == {(None, 5000, 128, 512)}


def test_sweep_keeps_the_defaults() -> None:
    ((_, _, training),) = parse({"d_sae": 64}).swept()
    assert training == SaeTraining(d_sae=64)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"d_sae": [64, 128], "k": [8, 100]}, "sae_training[0].k[1]: 100: is more than the 64 latents of d_sae[0]"),
        ({"d_sae": 16}, "sae_training[0].k: 32: is more than the 16 latents of d_sae"),
        (JUMPRELU | {"target_l0": 128.5}, "sae_training[0].target_l0: 128.5: is more than the 128 latents"),
        (
            {"architecture": "matryoshka_batchtopk", "d_sae": [64, 128], "matryoshka_widths": [32, 96]},
            "sae_training[0].matryoshka_widths: 96: is more than the 64 latents of d_sae[0]",
        ),
        ({"d_sae": 64, "k": [8, "many"]}, "sae_training[0].k[1]: 'many': input should be a valid integer"),
        ({"d_sae": 64, "lr": "fast"}, "sae_training[0].lr: 'fast': input should be a valid number"),
        (JUMPRELU | {"l0_coefficient": [{"a": 1}]}, "sae_training[0].l0_coefficient[0]: input should be a valid"),
        (JUMPRELU | {"target_l0": [0]}, "sae_training[0].target_l0[0]: 0: input should be greater than 0"),
        ({"d_sae": 64, "k": []}, "sae_training[0].k: []: list should have at least 1 item"),
        ({"d_sae": 64, "k": [8, 16, 8]}, "sae_training[0].k: [8, 16, 8]: contains a value twice"),
        (
            {"d_sae": 64, "lr": [1e-3, 1.0000001e-3]},
            "several SAEs of the sweep would have the name 'batchtopk-lr0.001'",
        ),
        ({"k": 8}, "sae_training[0].d_sae: is missing"),
        ({"d_sae": 64, "name": "a/b"}, "sae_training[0].name: 'a/b'"),
        ({"d_sae": 64, "name": "hidden"}, "sae_training[0].name: 'hidden': the name of an SAE may not be 'hidden'"),
        ({"d_sae": 64, "name": "x-random"}, "sae_training[0].name: 'x-random': the name of an SAE may not be"),
        ({"d_sae": 64, "kk": 8}, "sae_training[0].kk: unknown key; allowed here: architecture"),
        ({"d_sae": 64, "target_l0": [8]}, "sae_training[0]: target_l0 is an option of jumprelu, not of batchtopk"),
        (JUMPRELU | {"k": [8]}, "sae_training[0]: k is an option of topk and batchtopk"),
        ({"d_sae": 64, "resample": {}}, "sae_training[0]: resample is an option of standard, not of batchtopk"),
        ({"d_sae": 64, "normalize_activations": "batch"}, "normalize_activations: 'batch' is not allowed; use one of"),
        ({"d_sae": 64, "corpus": {}}, "sae_training[0].corpus.name: is missing"),
        ({"d_sae": 64, "corpus": {"name": "c", "context_size": 7}}, "sae_training[0].corpus.context_size: 7"),
        ({"d_sae": 64, "corpus": {"name": "c", "label_field": "x"}}, "corpus.label_field: unknown key; allowed here"),
    ],
)
def test_error_names_place_value_and_fix(entry: dict[str, Any], expected: str) -> None:
    assert expected in error_text(entry)


def test_two_saes_with_one_name_are_an_error() -> None:
    text = error_text({"d_sae": 64}, {"d_sae": 128})
    assert (
        "sae_training[1]: 'batchtopk': sae_training[0] has an SAE with the same name: give one of them a `name`" in text
    )
    assert names({"d_sae": 64}, {"d_sae": 128, "name": "wide"}) == ["batchtopk", "wide"]
    models = [MODEL, MODEL | {"layers": [2], "widths": ["1k", "batchtopk"]}]
    expected = "models[1].widths[1]: 'batchtopk': sae_training[0] trains an SAE with the same name"
    assert expected in error_text({"d_sae": 64}, models=models)


def test_widths_are_optional_only_with_sae_training() -> None:
    assert parse({"d_sae": 64}).models[0].widths == []
    assert "models[0].widths: []: no SAE is named, and there is no sae_training" in error_text()
    alone = [MODEL | {"sae_train": {"k": 8}}]
    assert "models[0]: sae_train gives the source of the SAEs that `widths` names" in error_text(
        {"d_sae": 64}, models=alone
    )


def test_datasets_are_optional_only_if_every_sae_has_a_corpus() -> None:
    own = {"d_sae": 64, "corpus": {"name": "c"}}
    assert parse(own, datasets=[]).datasets == []
    trained = MODEL | {"widths": ["1k"], "sae_train": {"corpus": {"name": "c"}}}
    assert parse(own, datasets=[], models=[MODEL, trained]).datasets == []
    expected = "datasets: []: a dataset is required unless every SAE is trained on its own corpus"
    assert expected in error_text(own, {"d_sae": 64, "name": "x"}, datasets=[])
    assert expected in error_text(own, datasets=[], models=[MODEL | {"widths": ["16k"]}])
    assert expected in error_text(own, datasets=[], models=[MODEL | {"widths": ["1k"], "sae_train": {}}])


def test_a_corpus_needs_no_labels() -> None:
    corpus = {"name": "c", "config_name": "", "revision": "main", "split": "dev", "text_field": "body"}
    ((_, _, training),) = parse({"d_sae": 64, "corpus": corpus}).swept()
    assert training.corpus is not None
    spec = training.corpus.dataset
    assert (spec.name, spec.config_name, spec.revision, spec.split) == ("c", None, "main", "dev")
    assert (spec.text_field, spec.label_field) == ("body", None)
    unlabelled = [{"name": "d", "text_field": "text", "label_field": None}]
    assert "datasets[0].label_field: None: the classifiers need labels" in error_text(
        {"d_sae": 64}, datasets=unlabelled
    )


def test_settings_of_training() -> None:
    assert "settings.checkpoint_minutes: 0: " in error_text({"d_sae": 64}, settings={"checkpoint_minutes": 0})
    expected = "settings.training_log: 'mlflow' is not allowed; use one of: none, tensorboard, wandb"
    assert expected in error_text({"d_sae": 64}, settings={"training_log": "mlflow"})
    both = {"positions": "cls", "include_special_tokens": True}
    assert "include_special_tokens has no effect with positions: cls" in error_text({"d_sae": 64}, settings=both)


def test_number_of_latents_of_a_trained_sae() -> None:
    assert SaeTraining().latents("3k") == 3072
    assert SaeTraining(d_sae=96).latents("mine") == 96
    with pytest.raises(SaeError, match=r"'mine' is not a number of latents.*sae_train\.d_sae"):
        SaeTraining().latents("mine")
    with pytest.raises(SaeError, match="k = 100 is more than the 64 latents of width '64'"):
        SaeTraining(architecture="topk", k=100).latents("64")
    assert SaeTraining(architecture="standard").latents("16") == 16  # fewer than the default k
    with pytest.raises(SaeError, match=r"target_l0 = 80\.5 is more than the 64 latents"):
        SaeTraining(architecture="jumprelu", target_l0=80.5).latents("64")
    with pytest.raises(SaeError, match="matryoshka_widths = 96 is more than the 64 latents"):
        SaeTraining(architecture="matryoshka_batchtopk", matryoshka_widths=(32, 96)).latents("64")


def test_widths_of_nested_saes() -> None:
    training = SaeTraining(architecture="matryoshka_batchtopk")
    assert training.nested_widths(3072) == [384, 768, 1536, 3072]
    assert training.nested_widths(4) == [1, 2, 4]
    assert training.model_copy(update={"matryoshka_widths": (100, 512)}).nested_widths(512) == [100, 512]
