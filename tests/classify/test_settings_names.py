"""Settings of each source, and their folder names."""

from __future__ import annotations

import pytest

from saefari.classify.settings import Setting, settings_of
from saefari.config import ClassificationParams


def names(source: str, **params: object) -> list[str]:
    return [s.folder(source) for s in settings_of(source, ClassificationParams(**params))]  # type: ignore[arg-type]


def test_pooling_multiplies_settings_of_all_latents_but_not_of_counts() -> None:
    found = names("sae", top_n_values=[0, 20, -1], binarize_values=[None, 1.0], pooling=["sum", "max"])
    assert found == [
        "sum_top0_bin-none",
        "max_top0_bin-none",
        "sum_top0_bin-1.0",
        "max_top0_bin-1.0",
        "count_top20_bin-none",
        "count_top20_bin-1.0",
        "count_top-1_bin-none",
        "count_top-1_bin-1.0",
    ]


def test_select_k_has_its_own_folder() -> None:
    assert names("random_sae", select_k=[None, 100]) == ["sum_top0_bin-none", "sum_top0_bin-none_k100"]


def test_the_extra_setting_is_added_unless_listed() -> None:
    assert names("sae", extra_top_n=5, extra_binarize_value=2.5) == ["sum_top0_bin-none", "count_top5_bin-2.5"]
    assert names("sae", extra_top_n=0) == ["sum_top0_bin-none"]
    assert names("sae", extra_binarize_value=2.5) == ["sum_top0_bin-none"]  # no extra_top_n: no extra setting


@pytest.mark.parametrize(
    ("source", "expected"), [("hidden", ["last", "mean"]), ("tfidf", ["tfidf"]), ("majority", ["majority"])]
)
def test_settings_of_baselines(source: str, expected: list[str]) -> None:
    assert names(source, top_n_values=[0, 5], select_k=[10, 20]) == expected


def test_folder_names_distinguish_thresholds() -> None:
    thresholds = [0.0, 1.0, 1.5, 0.001, 10.0, None]
    assert len({Setting("sum", 0, t).folder("sae") for t in thresholds}) == len(thresholds)
    assert Setting("sum", 0, 10.0).folder("sae") == "sum_top0_bin-10.0"
