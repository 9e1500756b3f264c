"""Heat maps over images, and pages of rows with images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from dash.development.base_component import Component
from flask import Flask

from app.pages.latent.parts.sections import activity, deciles
from app.shared.data.codes import CodeSet
from app.shared.data.images.picture import Picture
from app.shared.data.tree import tree
from app.shared.parts.images import heat_map as heat_map_module
from app.shared.parts.images.heat_map import colour_scale, heat_map, small_heat_map
from app.shared.parts.images.row import shaded_row
from app.shared.parts.images.shading import Shading
from app.shared.parts.tokens import shade
from tests.app.image_tree import DIGITS, PROMPTS, image_server
from tests.app.rendered import text
from tests.app.sample_tree import FIRST, page

WITHOUT_IMAGE = FIRST + 8
PICTURE = Picture("<b>a</b>.png", "/view/x/0/1", (2, 2), np.array([-1, 0, 1, 3]))
VALUES = np.array([4.0, 0.0, 1.0, -2.0])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    return image_server(tmp_path_factory.mktemp("images"))


@pytest.fixture
def served(server: Flask) -> Iterator[Flask]:
    with server.app_context():
        yield server


def ids(dataset: str, source: str = "sae", classifier: str = "linear") -> tuple[str, str]:
    rows = tree().index().results
    chosen = rows[(rows.dataset == dataset) & (rows.source == source)]
    return str(chosen.run.iloc[0]), classifier


def code_set(dataset: str) -> CodeSet:
    known = tree().index().code_sets.values()
    return next(one for one in known if one.dataset.startswith(dataset) and not one.is_hidden)


def parts(component: Any, name: str) -> list[Any]:
    """Every component with this class name among its own."""
    found = [component] if name in str(getattr(component, "className", "")).split() else []
    children = getattr(component, "children", None)
    for child in children if isinstance(children, (list, tuple)) else [children]:
        if isinstance(child, Component):
            found += parts(child, name)
    return found


def test_patches_are_shaded_like_tokens_and_show_their_value() -> None:
    drawn = heat_map(PICTURE, Shading(VALUES, pickable=True, picked=2))
    patches = parts(drawn, "patch")
    assert [getattr(one, "data-token") for one in patches] == ["1", "2", "3"]
    assert [getattr(one, "aria-label") for one in patches][1:] == [
        "patch row 0, column 1: 1",
        "patch row 1, column 1: -2",
    ]
    assert [one.style.get("gridArea") for one in patches] == ["1 / 1", "1 / 2", "2 / 2"]
    assert [one.style.get("backgroundColor") for one in patches] == [
        None,
        shade(1, 4)["backgroundColor"],
        shade(-2, 4)["backgroundColor"],
    ]
    assert [one.className for one in patches] == ["patch", "patch patch-strongest", "patch patch-against"]
    assert [getattr(one, "aria-current", None) for one in patches] == [None, "true", None]
    assert [one.tabIndex for one in patches] == [-1, 0, -1], "one of them is reached by Tab"
    assert drawn.children[0].alt == "<b>a</b>.png"


def test_patches_that_are_not_pickable_have_no_token() -> None:
    assert not any(hasattr(one, "data-token") for one in parts(heat_map(PICTURE, Shading(VALUES)), "patch"))


def test_fine_grids_render_only_patches_with_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heat_map_module, "MOST_PATCHES", 2)
    assert len(parts(heat_map(PICTURE, Shading(VALUES)), "patch")) == 2
    assert len(parts(small_heat_map(PICTURE, VALUES, 4, "alt"), "patch")) == 1


@pytest.mark.parametrize("values", [np.zeros(4), np.array([3.0, 0, 0, 0])])
def test_an_image_in_which_nothing_fires_outlines_nothing(values: np.ndarray) -> None:
    for drawn in (heat_map(PICTURE, Shading(values)), small_heat_map(PICTURE, values, 3, "alt")):
        assert parts(drawn, "patch-strongest") == []


def test_the_scale_starts_below_zero_only_with_negative_values() -> None:
    assert colour_scale(Shading(VALUES)).children[0].children == "−4"
    assert colour_scale(Shading(np.abs(VALUES))).children[0].children == "0"


def test_tokens_beside_an_image_keep_their_positions() -> None:
    spans = np.array([[0, 0], [0, 0], [0, 2], [3, 6]])
    row = Picture("a.png", "/view/x/0/1", (1, 1), np.array([0, -1, -1, -1]))
    drawn = shaded_row("an <i>", spans, row, Shading(np.array([0.5, 0, 1, 2]), pickable=True, picked=3))
    tokens = parts(drawn, "token")
    assert [(one.children, getattr(one, "data-token")) for one in tokens] == [("an", "2"), ("<i>", "3")]
    assert [getattr(one, "aria-current", None) for one in tokens] == [None, "true"]
    (chip,) = parts(drawn, "chip")
    assert (chip.children, getattr(chip, "data-token")) == ("special token: 0", "1")
    assert [getattr(one, "data-token") for one in parts(drawn, "patch")] == ["0"]


@pytest.mark.parametrize(
    ("dataset", "source", "classifier"),
    [
        (DIGITS, "sae", "linear"),
        (DIGITS, "sae", "tree"),
        (DIGITS, "hidden", "linear"),
        (DIGITS, "majority", "majority"),
        (PROMPTS, "sae", "linear"),
    ],
)
@pytest.mark.parametrize("row", [FIRST + 4, WITHOUT_IMAGE])
@pytest.mark.parametrize("latent", ["strongest", "evidence", "1", "99"])
def test_every_part_of_a_row_can_be_shown(
    served: Flask, dataset: str, source: str, classifier: str, row: int, latent: str
) -> None:
    result_ids, number = ids(dataset, source, classifier), str(row)
    space = "features" if source == "sae" else "layer_3"
    shown = [
        page().layout(*result_ids, row=number, latent=latent),
        page()._find("all", 0.8, None, None, "", *result_ids),
        page()._draw(space, "pca", "label", number, "all", 0.8, "", "", "", *result_ids),
        page()._offer_latents(number, latent, *result_ids),
        page()._offer_tokens(number, "0", *result_ids),
        page()._colour(number, latent, "0", *result_ids),
        page()._show_token(number, "0", *result_ids),
        page()._explain(number, "usual", *result_ids),
        page()._show_baselines(number, *result_ids),
    ]
    shown_text = text(shown)
    assert "cannot be shown" not in shown_text
    assert "is not there" not in shown_text
    assert "does not exist" not in shown_text
    has_picture = dataset == DIGITS or row != WITHOUT_IMAGE
    assert bool(parts(shown[5], "view")) == has_picture
    if source == "sae" and latent != "99":
        assert len(parts(shown[5], "patch")) == has_picture * (16 if dataset == DIGITS else 8)
        assert len(parts(shown[5], "token")) == (3 if dataset == PROMPTS else 0)


def test_evidence_is_an_option_for_a_probe_but_not_for_a_tree(served: Flask) -> None:
    options = [
        [one["value"] for one in page()._offer_latents(str(FIRST), "strongest", *ids(DIGITS, "sae", name))[0]]
        for name in ("linear", "tree")
    ]
    assert ["evidence" in one for one in options] == [True, False]


def test_a_latents_page_shows_images_with_the_strongest_patch_outlined(served: Flask) -> None:
    codes = next(
        one for one in tree().index().code_sets.values() if one.dataset.startswith(DIGITS) and not one.is_hidden
    )
    for shown in (activity(codes, 2), deciles(codes, 2, 0)):
        pictures = parts(shown, "view")
        assert len(pictures) == (20 if shown.__class__.__name__ == "Stack" else 10)
        for one in pictures:
            (strongest,) = parts(one, "patch-strongest")
            assert one.children[0].alt.endswith(strongest.title.partition(":")[0])
    only_class_token = activity(codes, 11)
    assert "at cls" in text(only_class_token)
    assert parts(only_class_token, "patch") == []


def test_prompts_are_shown_with_image_and_text(served: Flask) -> None:
    codes = next(
        one for one in tree().index().code_sets.values() if one.dataset.startswith(PROMPTS) and not one.is_hidden
    )
    shown = activity(codes, 3)
    assert any(one.children == "<i>flag</i>" for one in parts(shown, "token"))
    assert 0 < len(parts(shown, "view")) < 20, "some of the strongest rows are of text alone"
