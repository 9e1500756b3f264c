"""Comparison of the feature spaces of two runs, and mapping of their classes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saefari.classify.alignment import align_classes, check_spaces, feature_space
from saefari.errors import DataError, StoreError
from saefari.store import Manifest, write_json

FACTS = {
    "weights_sha256": "5" * 64, "hook": "blocks.3.hook_resid_post", "center": False, "normalize_activations": "none",
    "architecture": "jumprelu", "d_sae": 24,
}  # fmt: skip
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=4)


def write(samples: Path, settings: dict[str, Any], **facts: Any) -> Path:
    Manifest("codes", settings, 0, FACTS | facts).save(samples / "layer_3" / "16k")
    return samples


def compare(one: Path, other: Path, source: Any = "sae") -> None:
    check_spaces(*(feature_space(source, samples, "layer_3/16k") for samples in (one, other)), "a", "b")


def test_the_path_of_an_sae_does_not_matter_except_for_topk(tmp_path: Path) -> None:
    here = {"sae": {"cfg.json": "1", "sae_weights.safetensors": "2"}}
    there = {"sae": {"release": "r", "sae_id": "i", "sae-lens": "6.1"}}
    compare(write(tmp_path / "a", here), write(tmp_path / "b", there))
    with pytest.raises(DataError, match=r"cfg\.json"):
        compare(write(tmp_path / "a", here, architecture="topk"), write(tmp_path / "b", there, architecture="topk"))
    newer = {"sae": there["sae"] | {"sae-lens": "6.2"}}
    compare(write(tmp_path / "a", newer, architecture="topk"), write(tmp_path / "b", there, architecture="topk"))


@pytest.mark.parametrize("name", list(FACTS))
def test_every_difference_is_reported_for_both_runs(tmp_path: Path, name: str) -> None:
    changed = {name: not FACTS[name] if isinstance(FACTS[name], bool) else 7}
    with pytest.raises(DataError, match=r"--train a / --test b") as caught:
        compare(write(tmp_path / "a", {"sae": {"x": "1"}}), write(tmp_path / "b", {"sae": {"x": "1"}}, **changed))
    assert str(FACTS[name])[:12] in str(caught.value)
    assert str(changed[name]) in str(caught.value)


def test_runs_without_records_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"does not record its weights of the SAE"):
        compare(*(write(tmp_path / name, {}, weights_sha256=None) for name in "ab"))


def test_random_weights_are_compared_by_seed_and_calibration(tmp_path: Path) -> None:
    settings = {"random_seed": 0, "sae": {"x": "1"}}
    topk = [write(tmp_path / name, settings | {"calibrated_on": name}, architecture="topk") for name in "ab"]
    compare(*topk, "random_sae")  # k alone decides how sparse it is
    write(tmp_path / "b", settings | {"random_seed": 1}, architecture="topk")
    with pytest.raises(DataError, match=r"seed of the random weights: 0 / 1"):
        compare(*topk, "random_sae")

    calibrated = {"model": {"weights": "w", "dtype": "float32"}, "calibrated_on": "split"}
    for name, limit in zip("ab", (5.0, 6.0), strict=True):
        write_json(tmp_path / name / "split.json", {"settings": {"samples": "s"}, "sha256": _split(tmp_path / name)})
        write(tmp_path / name, settings | calibrated, norm_limit=limit)
    with pytest.raises(DataError, match=r"norm limit of their calibration: 5.0 / 6.0"):
        compare(*topk, "random_sae")


def _split(samples: Path) -> str:
    (samples / "split.parquet").write_bytes(b"rows")
    return hashlib.sha256(b"rows").hexdigest()


@pytest.mark.parametrize("source", ["sae", "hidden"])
def test_another_bos_setting_gives_other_features(tmp_path: Path, source: str) -> None:
    settings = {"sae": {"x": "1"}, "model": {"weights": "w"}}
    one = write(tmp_path / "a", settings)
    for begun, words in ((True, "added"), (False, "left out")):
        other = write(tmp_path / "b", settings | {"prepend_bos": begun})
        compare(other, other, source)
        with pytest.raises(DataError, match=f"BOS before every text: as the tokenizer does / {words}"):
            compare(one, other, source)


def test_the_same_classes_need_no_map() -> None:
    assert align_classes({"b", "a"}, ["a", "b"], {}, None) == {"a": "a", "b": "b"}
    with pytest.raises(DataError, match=r"has no 'b'.*--map"):
        align_classes({"a"}, ["a", "b"], {}, None)
    assert align_classes({"a"}, ["a", "b"], {}, {}) == {"a": "a"}  # a map may leave classes out
    with pytest.raises(
        DataError, match=r"does not know 'rare'; 'rare' was left out in training: 2 training rows for 5 folds"
    ):
        align_classes({"a", "b", "rare"}, ["a", "b"], {"rare": "2 training rows for 5 folds"}, None)


@given(st.sets(NAMES, min_size=1, max_size=5), st.lists(NAMES, min_size=2, max_size=5, unique=True), st.data())
def test_every_label_maps_to_a_class_or_none_or_is_an_error(
    labels: set[str], classes: list[str], data: st.DataObject
) -> None:
    keys, values = st.sampled_from([*sorted(labels), "elsewhere"]), st.sampled_from([None, *classes, "unknown"])
    class_map = data.draw(st.none() | st.dictionaries(keys, values))
    try:
        meant = align_classes(labels, classes, {}, class_map)
    except DataError:
        return
    assert set(meant) == labels
    assert set(meant.values()) <= {None, *classes}
    assert set(meant.values()) != {None}
    for label, name in meant.items():
        assert name == (class_map or {}).get(label, label)
