"""conf.yaml: the published file loads unchanged; every error names its place, its value and a fix."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from saefari.config import SaeTraining, load_config, parse_config, width_to_d_sae
from saefari.errors import ConfigError

PUBLISHED = """
settings:
  base_save_dir: "./output/activations"
  base_classify_dir: "./output/classifications"
  batch_size: 1
  model_type: "llm"
  sae_location: "res"
  test_size: 0.2
  tree_depth: 5
  act_only: True
  cuda_visible_devices: "0"
  bow_baseline: "True"

models:
  - name: "google/gemma-2b"
    layers: [6, 12, 17]
    widths: ["16k"]

datasets:
  - name: "Anthropic/election_questions"
    config_name: ""
    split: "test"
    text_field: "question"
    label_field: "label"
    image_field: ""

classification_params:
  top_n_values: [0, 20, 50]
  binarize_values: [null, 1.0]
  extra_top_n: -1
  extra_binarize_value: null
"""


@pytest.fixture
def published() -> dict[str, Any]:
    raw: dict[str, Any] = yaml.safe_load(PUBLISHED)
    return raw


def error_text(raw: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(raw)
    return str(caught.value)


def with_value(raw: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    raw = copy.deepcopy(raw)
    *parents, last = path.split("/")
    target: Any = raw
    for key in parents:
        target = target[int(key) if isinstance(target, list) else key]
    target[int(last) if isinstance(target, list) else last] = value
    return raw


def test_published_file_loads_unchanged(published: dict[str, Any]) -> None:
    config = parse_config(published)
    assert config.settings.act_only is True
    assert config.settings.bow_baseline is True
    assert config.datasets[0].config_name is None
    assert config.datasets[0].image_field is None
    assert config.classification_params.top_n_values == [0, 20, 50]
    assert config.classification_params.binarize_values == [None, 1.0]
    assert config.classification_params.extra_top_n == -1


def test_absent_extra_top_n_means_no_extra_setting(published: dict[str, Any]) -> None:
    del published["classification_params"]["extra_top_n"]
    assert parse_config(published).classification_params.extra_top_n is None


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("settings/seeed", 1, "settings.seeed: unknown key; allowed here: base_save_dir"),
        ("settings/seeed", 1, "(did you mean 'seed'?)"),
        ("settings/model_type", "lm", "settings.model_type: 'lm' is not allowed; use one of: llm, vlm, vit"),
        ("settings/sae_location", "attn", "(did you mean 'att'?)"),
        ("settings/test_size", 1.5, "settings.test_size: 1.5: input should be less than 1"),
        ("settings/batch_size", 0, "settings.batch_size: 0"),
        ("settings/tree_depth", "deep", "settings.tree_depth: 'deep'"),
        ("settings/n_jobs", 0, "n_jobs must be -1 (all cores) or at least 1"),
        ("settings/device", "gpu", "settings.device: 'gpu'"),
        ("settings/outlier_norm", 1, "1: must be a number above 1 and at most 1,000,000,000, auto or null"),
        ("settings/outlier_norm", 1e308, "settings.outlier_norm: 1e+308: must be a number above 1 and at most"),
        ("settings/outlier_norm", "ten", "settings.outlier_norm: 'ten': must be a number above 1"),
        ("models/0/add_bos", 1, "models[0].add_bos: 1: must be true, false or auto"),
        ("models", [], "models: []"),
        ("models/0/layers", ["x"], "models[0].layers[0]: 'x'"),
        ("models/0/layers", [-1], "models[0].layers[0]: -1"),
        ("models/0/layers", [3, 3], "layers contains a value twice"),
        ("models/0/widths", ["../x"], "models[0].widths[0]: '../x'"),
        ("models/0/widths", ["hidden"], "models[0].widths[0]: 'hidden': the name of an SAE may not be 'hidden'"),
        ("models/0/sae_train", {"architecture": "topkk"}, "models[0].sae_train.architecture: 'topkk' is not allowed"),
        ("models/0/sae_train", {"kk": 3}, "models[0].sae_train.kk: unknown key; allowed here: architecture"),
        ("datasets/0/nme", "x", "datasets[0].nme: unknown key"),
        ("classification_params/pooling", ["avg"], "classification_params.pooling[0]: 'avg' is not allowed"),
        ("classification_params/top_n_values", [-2], "classification_params.top_n_values[0]: -2"),
        ("classification_params/binarize_values", [-1.0], "classification_params.binarize_values[0]: -1.0"),
        ("classification_params/select_k", [], "classification_params.select_k: []"),
        ("none", 1, "none: unknown key; allowed here: settings"),
        ("settings/int", 1, "settings.int: unknown key; allowed here: base_save_dir"),
        ("models/0/str", 1, "models[0].str: unknown key; allowed here: name"),
        ("models/0/a[1]", 1, "models[0].a[1]: unknown key; allowed here: name"),
        ("models/0/sae_train", {"float": 1}, "models[0].sae_train.float: unknown key; allowed here: architecture"),
        ("classification_params/binarize_values", ["x"], "classification_params.binarize_values[0]: 'x'"),
        ("classification_params/class_weight", "even", "class_weight: 'even' is not allowed"),
        ("classification_parms", {}, "classification_parms: unknown key; allowed here: settings, models"),
    ],
)
def test_error_names_place_value_and_fix(published: dict[str, Any], path: str, value: Any, expected: str) -> None:
    assert expected in error_text(with_value(published, path, value))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"architecture": "topk", "target_l0": 8}, "target_l0 is an option of jumprelu, not of topk: remove it"),
        ({"architecture": "jumprelu", "k": 8}, "k is an option of topk and batchtopk and matryoshka_batchtopk, not"),
        (
            {"architecture": "batchtopk", "l1_coefficient": 1.0},
            "l1_coefficient is an option of standard and gated, not",
        ),
        ({"architecture": "standard", "l0_coefficient": 1.0}, "l0_coefficient is an option of jumprelu, not"),
        ({"architecture": "gated", "resample": {}}, "resample is an option of standard, not of gated"),
        ({"matryoshka_widths": [64]}, "is an option of matryoshka_batchtopk, not of batchtopk"),
        (
            {"architecture": "matryoshka_batchtopk", "matryoshka_widths": [64, 32]},
            "must be in ascending order: [64, 32]",
        ),
        ({"architecture": "matryoshka_batchtopk", "matryoshka_widths": [0, 32]}, "matryoshka_widths[0]: 0"),
        ({"architecture": "jumprelu", "target_l0": 0}, "models[0].sae_train.target_l0: 0: input should be greater"),
        ({"architecture": "standard", "resample": {"evry": 0.1}}, "resample.evry: unknown key; allowed here: every"),
        ({"architecture": "standard", "resample": {"until": 0.9}}, "models[0].sae_train.resample.until: 0.9"),
        ({"architecture": "standard", "resample": {"every": 0.3, "until": 0.2}}, "nothing would be resampled"),
    ],
)
def test_option_of_another_architecture_is_an_error(
    published: dict[str, Any], options: dict[str, Any], expected: str
) -> None:
    assert expected in error_text(with_value(published, "models/0/sae_train", options))


def test_defaults_are_valid_for_every_architecture() -> None:
    assert SaeTraining(architecture="jumprelu").k == SaeTraining().k
    assert SaeTraining(architecture="topk", target_l0=None).target_l0 is None


def test_all_errors_are_reported_at_once(published: dict[str, Any]) -> None:
    raw = with_value(with_value(published, "settings/test_size", 2), "models/0/layers", [])
    del raw["datasets"][0]["name"]
    text = error_text(raw)
    assert "3 mistakes" in text
    assert "datasets[0].name: is missing" in text


def test_two_sources_of_an_sae_are_an_error(published: dict[str, Any]) -> None:
    raw = with_value(published, "models/0/sae_train", {"k": 4})
    raw["models"][0]["sae_release"] = "gemma-2b-res-jb"
    assert "give one of sae_release, sae_path, sae_train" in error_text(raw)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"sae_train": {"d_sae": 64}, "widths": ["1k", "2k"]}, "sae_train.d_sae = 64 would give the widths"),
        ({"sae_path": "saes/{layer}", "widths": ["1k", "2k"]}, "'saes/{layer}' must contain {width}"),
        ({"sae_path": "saes/{width}", "layers": [1, 2]}, "'saes/{width}' must contain {layer}"),
    ],
)
def test_one_sae_under_several_names_is_an_error(
    published: dict[str, Any], entry: dict[str, Any], expected: str
) -> None:
    published["models"] = [{"name": "m", "layers": [1], "widths": ["1k"]} | entry]
    assert expected in error_text(published)


def test_single_sae_needs_no_placeholder(published: dict[str, Any]) -> None:
    one = {"name": "m", "layers": [1], "widths": ["1k"]}
    many = {"name": "m", "layers": [1, 2], "widths": ["1k", "2k"], "sae_path": "saes/{layer}/{width}"}
    published["models"] = [one | {"sae_path": "sae"}, one | {"sae_train": {"d_sae": 64}}, many]
    assert len(parse_config(published).models) == 3


def test_duplicate_key_is_reported_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "conf.yaml"
    file.write_text("settings:\n  seed: 1\n  dtype: auto\n  'seed': 2\n")
    with pytest.raises(ConfigError, match=r"the key 'seed' is given twice.*line 4"):
        load_config(file)
    file.write_text(PUBLISHED + "settings: {}\n")
    with pytest.raises(ConfigError, match="the key 'settings' is given twice"):
        load_config(file)


def test_merge_keys_may_be_overridden(tmp_path: Path) -> None:
    file = tmp_path / "conf.yaml"
    file.write_text(
        """
models:
  - &one {name: m, layers: [1], widths: [1k]}
  - &two {<<: *one, layers: [2], revision: a}
  - {<<: *two, layers: [3]}
datasets: [{name: d}]
"""
    )
    models = load_config(file).models
    assert [model.layers for model in models] == [[1], [2], [3]]
    assert [model.revision for model in models] == [None, "a", "a"]


def test_files_that_are_not_a_configuration(tmp_path: Path) -> None:
    file = tmp_path / "conf.yaml"
    for content, expected in [
        ("a: [1", "not valid YAML"),
        ("- 1", "not a list"),
        ("", "not a NoneType"),
        ("\x00", "not valid YAML"),
    ]:
        file.write_text(content)
        with pytest.raises(ConfigError, match=expected):
            load_config(file)
    file.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(file)
    with pytest.raises(ConfigError, match="does not exist"):
        load_config(tmp_path / "absent.yaml")


def test_overrides_reach_every_section(tmp_path: Path) -> None:
    file = tmp_path / "conf.yaml"
    file.write_text(PUBLISHED)
    overrides = ["settings.max_samples=200", "models[0].layers=[6]", "classification_params.pooling=[max, mean]"]
    config = load_config(file, overrides)
    assert config.settings.max_samples == 200
    assert config.models[0].layers == [6]
    assert config.classification_params.pooling == ["max", "mean"]


@pytest.mark.parametrize("override", ["settings.max_samples", "=3", "models[7].name=x", "settings.seed.x=1", "a=[1"])
def test_invalid_overrides(tmp_path: Path, override: str) -> None:
    file = tmp_path / "conf.yaml"
    file.write_text(PUBLISHED)
    with pytest.raises(ConfigError):
        load_config(file, [override])


def test_width_suffixes_are_binary() -> None:
    assert width_to_d_sae("3k") == 3072
    assert width_to_d_sae("512") == 512
    assert width_to_d_sae("1m") == 1_048_576
    assert width_to_d_sae("wide") is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
SECTIONS = ["settings", "models", "datasets", "classification_params", "other"]


@given(st.dictionaries(st.sampled_from(SECTIONS), JSON, max_size=5))
def test_arbitrary_content_is_an_error_not_a_traceback(raw: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:  # no generated file names a model and a dataset
        parse_config(raw)
    assert caught.value.problems
