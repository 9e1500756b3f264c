"""Images of rows: positions, columns that are read, and the image route."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from app.pages.latents.data.table import latent_table
from app.pages.samples.parts.token import token_text
from app.server import create_app
from app.shared.data.codes import CodeSet
from app.shared.data.images.picture import Picture, stored_picture
from app.shared.data.images.positions import position_name
from app.shared.data.images.served import view_address
from app.shared.data.latents.contexts import decile_contexts, strongest_contexts, top_tokens
from app.shared.data.latents.firing import firing
from app.shared.data.latents.summary import facts, summary
from app.shared.data.one_result import OneResult, find_result
from app.shared.data.samples import rows as rows_module
from app.shared.data.samples.evidence import position_evidence
from app.shared.data.samples.rows import Filters, find_rows, find_sample, matching
from app.shared.data.samples.selection import find_selected
from app.shared.data.tree import tree
from saefari.errors import StoreError
from saefari.store import IMAGE_SCHEMA, SamplesWriter, read_sample_rows
from tests.app.image_tree import D_SAE, DIGITS, GRID, N_ROWS, PROMPTS, digit_codes, digits, write_digits, write_prompts
from tests.app.sample_tree import FIRST, write_features

WITHOUT_IMAGE = FIRST + 8


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images")
    write_digits(path)
    write_prompts(path)
    return path


@pytest.fixture(scope="module")
def server(output: Path) -> Flask:
    return create_app(output).server


@pytest.fixture
def served(server: Flask) -> Iterator[Flask]:
    with server.app_context():
        yield server


@pytest.fixture
def client(server: Flask) -> FlaskClient:
    return server.test_client()


def result(dataset: str, source: str = "sae") -> OneResult:
    rows = tree().index().results
    chosen = rows[(rows.dataset == dataset) & (rows.source == source)].iloc[0]
    return find_result(tree().index(), str(chosen.run), "linear" if source != "majority" else "majority")


def code_set(dataset: str) -> CodeSet:
    return next(
        one for one in tree().index().code_sets.values() if one.dataset.startswith(dataset) and one.name == "3k"
    )


def picture(patch: list[int], grid: tuple[int, int] = (2, 3), first_is_class: bool = False) -> Picture:
    return Picture("a.png", "/view/x/0/1", grid, np.asarray(patch, dtype=np.int64), first_is_class)


@given(st.lists(st.tuples(st.integers(-1, 5), st.integers(-3, 3)), max_size=30))
def test_a_cell_shows_its_largest_value(positions: list[tuple[int, int]]) -> None:
    values = np.asarray([value for _, value in positions], dtype=np.float32)
    cells = picture([cell for cell, _ in positions]).cells(values)
    assert list(cells) == sorted({cell for cell, _ in positions} - {-1})
    for cell, position in cells.items():
        own = [(-value, i) for i, (at, value) in enumerate(positions) if at == cell]
        assert position == min(own)[1]


def test_names_of_positions() -> None:
    row = picture([-1, 5, -1, -1], first_is_class=True)
    names = [position_name("a dog", span, row, i) for i, span in enumerate([(0, 0), (0, 0), (2, 5), (0, 0)])]
    assert names == ["cls", "patch row 1, column 2", "dog", "special token"]
    assert position_name("a dog", (2, 5), None, 0) == "dog"
    assert position_name(None, (0, 0), None, 0) == ""


@pytest.mark.parametrize(
    ("grid", "patch"), [([2, 2], [0, 4]), ([2, 2], [0, -2]), ([2], [0, 1]), ([0, 2], [0, 1]), ([2, 2], [0])]
)
def test_patches_outside_of_the_grid_are_an_error(tmp_path: Path, grid: list[int], patch: list[int]) -> None:
    stored = {"image": "a", "grid": grid, "patch": patch, "valid": [0, 1], "text": None}
    with pytest.raises(StoreError, match="row 7 do not fit its image's grid"):
        stored_picture(tmp_path, 7, stored)


def test_a_digit_has_its_picture_and_a_prompt_both(served: Flask) -> None:
    digit = find_sample(result(DIGITS), FIRST + 4)
    assert digit.picture is not None
    assert (digit.text, digit.kind, digit.picture.grid, digit.picture.name) == (
        None,
        "image",
        GRID,
        "digits/<b>4</b>.png",
    )
    assert [token_text(digit, i) for i in (0, 1, 16)] == ["cls", "patch row 0, column 0", "patch row 3, column 3"]
    prompt = find_sample(result(PROMPTS), FIRST + 4)
    assert prompt.kind == "image and its text"
    names = [token_text(prompt, i) for i in (0, 7, 8, 9, 10)]
    assert names == ["patch row 0, column 0", "patch row 1, column 3", "special token", "a", "<i>flag</i>"]
    alone = find_sample(result(PROMPTS), WITHOUT_IMAGE)
    assert (alone.picture, alone.kind, token_text(alone, 0)) == (None, "text", "a")


def test_rows_without_texts_are_found_by_their_image(served: Flask) -> None:
    rows = find_rows(result(DIGITS))
    assert rows.without_texts == ""
    assert rows.names.tolist() == [f"digits/<b>{i}</b>.png" for i in range(0, N_ROWS, 4)]
    assert rows.rows[matching(rows, Filters(search=">12<"))].tolist() == [FIRST + 12]
    prompts = find_rows(result(PROMPTS))
    assert prompts.names[0] == "a <i>flag</i> number0"
    assert prompts.rows[matching(prompts, Filters(search="number12"))].tolist() == [FIRST + 12]
    assert prompts.rows[matching(prompts, Filters(search="112.jpg"))].tolist() == [FIRST + 112]


def test_listing_and_naming_rows_reads_no_view(served: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def spy(folder: Path, rows: list[int], columns: list[str]) -> object:
        asked.extend(columns)
        return read_sample_rows(folder, rows, columns)

    monkeypatch.setattr(rows_module, "read_sample_rows", spy)
    rows_module._find_rows.cache_clear()
    find_rows(result(DIGITS))
    find_sample(result(DIGITS), FIRST)
    assert {"image", "grid", "patch"} <= set(asked)
    assert not {"view", "pixels", "input_ids"} & set(asked)


def test_evidence_sums_to_the_contributions(served: Flask) -> None:
    one = find_selected(result(DIGITS).run, "linear", FIRST + 4)
    sample, found = find_sample(one.result, one.row), one.decision().contributions
    assert sample.codes is not None
    assert found is not None
    for k in range(3):
        evidence = position_evidence(sample.codes, found, k)
        assert evidence.sum() == pytest.approx(found.per_class[:, k].sum())
    only = sample.codes.toarray()
    silent = ~(only > 0).any(axis=1)
    assert silent.any()
    assert (evidence[silent] == 0).all()
    assert evidence[0] == pytest.approx(found.per_class[found.features == D_SAE - 1, 2].sum()), (
        "the class token's latent"
    )


def test_contexts_have_the_pictures_of_their_rows(served: Flask) -> None:
    codes, dense = code_set(DIGITS), digit_codes(digits()[0])
    activations = firing(codes)
    for found in (
        strongest_contexts(activations, codes.samples, 2),
        decile_contexts(activations, codes.samples, 2, 1)[0],
    ):
        for one in found:
            row = one.sample["row"] - FIRST
            assert one.picture is not None
            assert one.picture.src == f"{view_address(codes.samples)}{one.sample['row']}"
            assert one.values == pytest.approx(dense[row, :, 2])
            assert one.centre == dense[row, :, 2].argmax()
    prompts = code_set(PROMPTS)
    with_text = strongest_contexts(firing(prompts), prompts.samples, 3)
    assert [one.picture is None for one in with_text] == [one.sample["image"] is None for one in with_text]


def test_top_positions_are_patches_by_their_place(served: Flask) -> None:
    codes, dense = code_set(DIGITS), digit_codes(digits()[0])
    (found,) = top_tokens(firing(codes), codes.samples, [2], most_activations=1).values()
    at = int(dense[:, 1:, 2].argmax()) % 16
    assert [(one.text, one.is_patch) for one in found] == [(f"patch row {at // 4}, column {at % 4}", True)]
    (of_class_token,) = top_tokens(firing(codes), codes.samples, [D_SAE - 1]).values()
    assert [(one.text, one.is_patch) for one in of_class_token] == [("cls", False)]


def test_a_latent_is_shown_by_the_image_in_which_it_is_strongest(served: Flask) -> None:
    codes, dense = code_set(DIGITS), digit_codes(digits()[0])
    (sae,) = tree().index().saes.values()
    peaks = dense.max(axis=1)
    strongest = np.where(peaks.max(axis=0) > 0, FIRST + peaks.argmax(axis=0), -1)
    assert summary(codes).strongest.tolist() == strongest.tolist()
    listed = latent_table(sae, codes, tree().index())["strongest_row"]
    assert listed.fillna(-1).tolist() == strongest.tolist()
    known = facts(codes, [2, 7])
    assert (known[2].image, known[7].image) == (f"{view_address(codes.samples)}{strongest[2]}", "")
    assert known[2].tokens == (), "patches are shown, not told"
    assert facts(code_set(PROMPTS), [3])[3].tokens == ("<i>flag</i>",)


def test_a_view_is_served_as_it_is_stored(served: Flask, client: FlaskClient) -> None:
    samples = code_set(DIGITS).samples
    answer = client.get(f"{view_address(samples)}{FIRST + 5}")
    assert answer.data == read_sample_rows(samples, [FIRST + 5], ["view"])["view"][0].as_py()
    assert answer.mimetype == "image/png"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "immutable" in answer.headers["Cache-Control"]
    prompts = view_address(code_set(PROMPTS).samples)
    assert client.get(f"{prompts}{FIRST}").mimetype == "image/jpeg"
    nothing = client.get(f"{prompts}{WITHOUT_IMAGE}")
    assert (nothing.status_code, nothing.data) == (204, b"")


@pytest.mark.parametrize("row", ["1", str(10**30), "-1", "x", "1000/../../../x", "%2e%2e%2f"])
def test_an_unknown_row_is_not_found(served: Flask, client: FlaskClient, row: str) -> None:
    address = view_address(code_set(DIGITS).samples)
    assert not client.get(address + row).mimetype.startswith("image/")


@pytest.mark.parametrize("split", ["..", "m", "0" * 12, "%2e%2e", "activations"])
def test_an_id_is_never_a_path(served: Flask, client: FlaskClient, split: str) -> None:
    assert not client.get(f"/view/{split}/0/{FIRST}").mimetype.startswith("image/")
    assert client.get(f"/view/{'0' * 12}/0/{FIRST}").status_code == 404


def test_a_view_that_is_no_image_is_not_served(tmp_path: Path) -> None:
    folder = tmp_path / "activations/m/d/train"
    markup = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    with SamplesWriter(folder, {}, IMAGE_SCHEMA) as writer:
        for i in range(4):
            writer.write(
                {"row": i, "id": "", "text": None, "label": "a", "group": None, "n_tokens": 1, "input_ids": []}
                | {"valid": [0], "span_start": [0], "span_end": [0], "image": "a.svg", "pixels": "", "view": markup}
                | {"grid": [1, 1], "patch": [0]}
            )
    write_features(folder, np.ones((4, 6)), np.arange(5))
    assert create_app(tmp_path).server.test_client().get(f"{view_address(folder)}1").status_code == 404


def test_the_rows_stay_readable_as_json(served: Flask) -> None:
    from app.pages.samples.parts.rows_list import listed

    rows = find_rows(result(PROMPTS))
    first, _, third = json.loads(json.dumps(listed(rows, np.arange(3))))
    assert first["view"] == FIRST
    assert (third["row"], third["view"]) == (WITHOUT_IMAGE, None)
