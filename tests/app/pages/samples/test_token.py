"""Strongest latents of a token on the page Samples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from flask import Flask

from app.pages.samples.parts import token as token_module
from app.pages.samples.parts.token import token_text
from app.shared.data.samples.rows import find_sample
from app.shared.data.tree import tree
from app.shared.parts.state import state_id
from app.shared.parts.tokens import coloured_text
from saefari.store import write_json
from tests.app.rendered import text
from tests.app.sample_tree import D_SAE, FIRST, SOURCES, classified_server, ids, page, result

ROW = FIRST + 4
EXPLANATION = "<b>own</b> <script>window.ran = true</script>"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    of_the_tests = {source: SOURCES[source] for source in ("sae", "tfidf")}
    return classified_server(tmp_path_factory.mktemp("output"), of_the_tests)


@pytest.fixture
def served(server: Flask) -> Iterator[Flask]:
    with server.app_context():
        yield server


def stored(position: int) -> dict[int, float]:
    """Stored codes of a position of ROW: latent -> activation, strongest first."""
    codes = find_sample(result("sae"), ROW).codes
    assert codes is not None
    dense = codes.toarray()[position]
    return {int(latent): float(dense[latent]) for latent in np.argsort(-dense, kind="stable") if dense[latent] > 0}


def own_position() -> int:
    """Position of the word of ROW's class, at which a latent is active."""
    sample = find_sample(result("sae"), ROW)
    assert sample.text is not None
    return next(i for i, word in enumerate(sample.text.split()) if word.startswith("own"))


def listed(position: object) -> list[dict[str, object]]:
    """Table rows that the page shows for a token."""
    _title, _line, box = page()._show_token(str(ROW), position, *ids("sae")).children
    _export, table = box.children.children
    rows: list[dict[str, object]] = table.rowData
    return rows


def test_a_token_lists_its_latents_strongest_first_with_links(served: Flask) -> None:
    found = listed(str(own_position()))
    wanted = stored(own_position())
    assert [row["number"] for row in found] == list(wanted)
    np.testing.assert_allclose([row["activation"] for row in found], list(wanted.values()), rtol=1e-6)  # type: ignore[arg-type]
    (sae,) = tree().index().saes
    assert all(str(row["href"]).startswith(f"/latent?sae={sae}&latent={row['number']}&codes=") for row in found)


def test_the_list_is_limited_and_shows_the_number_of_active_latents(
    served: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_module, "_MOST", 1)
    position = own_position()
    assert [row["number"] for row in listed(position)] == [next(iter(stored(position)))]
    shown = text(page()._show_token(str(ROW), position, *ids("sae")))
    assert f"{len(stored(position))} of {D_SAE} latents are active" in shown


def test_explanations_are_shown_if_there_are_any(served: Flask) -> None:
    latent = next(iter(stored(own_position())))
    (sae,) = tree().index().saes.values()
    assert not any(row["explanation"] for row in listed(own_position()))
    sae.explanations.mkdir(parents=True)
    write_json(sae.explanations / f"{latent}.json", {"explanation": EXPLANATION})
    assert listed(own_position())[0]["explanation"] == EXPLANATION
    shown = text(page()._show_token(str(ROW), own_position(), *ids("sae")))
    assert '"field": "explanation"' in shown


def test_tokens_of_the_text_can_be_picked_and_the_picked_one_is_marked(served: Flask) -> None:
    sample = find_sample(result("sae"), ROW)
    coloured = text(page()._colour(str(ROW), "strongest", "2", *ids("sae")))
    assert [f'"data-token": "{i}"' in coloured for i in range(len(sample.spans) + 1)] == [True] * 4 + [False]
    marked = [part for part in coloured.split("{") if '"aria-current"' in part]
    assert len(marked) == 1
    assert '"data-token": "2"' in marked[0]
    title = page()._show_token(str(ROW), "2", *ids("sae")).children[0].children
    assert title == f"The ten strongest latents at «{token_text(sample, 2)}»"


def test_only_texts_of_samples_have_selectable_tokens() -> None:
    spans, values = np.array([[0, 3], [4, 8]]), np.array([0.0, 1.0])
    assert "data-token" not in text(coloured_text("one two?", spans, values, 1.0))


def test_every_token_is_an_option_also_one_without_characters(served: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = find_sample(result("sae"), ROW)
    assert sample.text is not None
    sample.spans[1] = 0
    monkeypatch.setattr(token_module, "find_sample", lambda *_: sample)
    words = sample.text.split()
    options = page()._offer_tokens(str(ROW), None, *ids("sae"))
    assert [one["value"] for one in options] == ["0", "1", "2", "3"]
    wanted = [f"token {i}: «{word}»" for i, word in enumerate([words[0], "", *words[2:]])]
    assert [one["label"] for one in options] == wanted


@pytest.mark.parametrize("token", [None, "", "x", "-1"])
def test_no_latents_are_listed_without_a_token(served: Flask, token: str | None) -> None:
    assert page()._show_token(str(ROW), token, *ids("sae")) is None


def test_an_unknown_token_has_a_notice_and_stays_selected(served: Flask) -> None:
    assert "no token 99: it has 4" in text(page()._show_token(str(ROW), "99", *ids("sae")))
    assert page()._offer_tokens(str(ROW), "99", *ids("sae"))[-1]["value"] == "99"


def test_other_sources_have_no_tokens_to_pick(served: Flask) -> None:
    assert page()._offer_tokens(str(ROW), None, *ids("tfidf")) == []
    assert page()._show_token(str(ROW), "0", *ids("tfidf")) is None
    assert "data-token" not in text(page()._colour(str(ROW), "strongest", None, *ids("tfidf")))


def test_the_url_restores_the_token(served: Flask) -> None:
    opened = page().layout(*ids("sae"), row=str(ROW), token="3")
    parts = [part for part in opened._traverse() if getattr(part, "id", None) == state_id("token")]
    assert [part.value for part in parts] == ["3"]
