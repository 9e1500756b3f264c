"""Uploaded images: rejected files, predictions, and no temporary files."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import saefari.pipeline.live.predict
from app import main
from app.pages.try_it.data.examples import LONGEST_TEXT
from app.shared.data.images import upload as upload_module
from app.shared.data.images.upload import FORMATS, MOST_BYTES, check_image, decode_upload
from app.shared.data.tree import tree
from saefari.errors import DataError
from tests.app.image_tree import (
    DIGITS,
    PROMPTS,
    digits,
    encoded,
    image_server,
    predict_digit,
)
from tests.app.rendered import page, text

PIXELS = np.repeat(digits()[0][0][..., None], 3, axis=2)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    return image_server(tmp_path_factory.mktemp("images"))


@pytest.fixture
def served(server: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    monkeypatch.setattr(saefari.pipeline.live.predict, "predict_image", predict_digit, raising=False)
    with server.app_context():
        yield server


def try_page() -> ModuleType:
    return page("try_it")


def run_of(dataset: str, source: str = "sae") -> str:
    rows = tree().index().results
    return str(rows[(rows.dataset == dataset) & (rows.source == source)].run.iloc[0])


def asked(content: bytes, words: str | None = None) -> dict[str, Any]:
    """A request as the page sends it."""
    return {"image": f"data:;base64,{base64.b64encode(content).decode()}", "name": "<b>a</b>.png", "text": words}


def answer(content: bytes, words: str | None = None, source: str = "sae", dataset: str = DIGITS) -> str:
    classifier = "majority" if source == "majority" else "linear"
    return text(try_page()._answer(asked(content, words), [run_of(dataset, source), classifier, ""], {"name": "own"}))


@pytest.mark.parametrize("kind", FORMATS)
def test_images_are_recognised_by_their_content(kind: str) -> None:
    check_image(encoded(PIXELS, kind))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is not an image"),
        (b"plain text", "is not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not an image"),
        (encoded(PIXELS)[:40], "damaged|is not an image"),
        (encoded(PIXELS)[:-30], "damaged"),
        (b"x" * (MOST_BYTES + 1), "8.0 MB; at most 8 MB are accepted"),
    ],
)
def test_a_file_that_is_no_image_is_rejected(content: bytes, expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        check_image(content)


def test_pixels_are_counted_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded(PIXELS)
    monkeypatch.setattr(upload_module, "MOST_PIXELS", 63)
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("decoded"))
    with pytest.raises(DataError, match="8 × 8 pixels; at most 63 are accepted"):
        check_image(content)


def test_a_decompression_bomb_is_rejected() -> None:
    file = BytesIO()
    Image.new("1", (20_000, 20_000)).save(file, "PNG")
    with pytest.raises(DataError, match="pixels"):
        check_image(file.getvalue())


@given(st.binary(max_size=400), st.integers(0, 100), st.integers(0, 255))
def test_any_damage_is_a_data_error(noise: bytes, at: int, value: int) -> None:
    """Noise and an image with one changed byte raise only DataError."""
    changed = bytearray(encoded(PIXELS))
    changed[at % len(changed)] = value
    for content in (noise, bytes(changed)):
        with contextlib.suppress(DataError):
            check_image(content)


@pytest.mark.parametrize(
    "question",
    [{}, {"image": None}, {"image": "x"}, {"image": 7}, {"image": "data:;base64,é"}, {"image": "data:;base64,A"}],
)
def test_a_request_without_an_image_is_rejected(question: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        decode_upload(question)


def test_a_prediction_shows_the_image_as_the_model_received_it_and_its_latents(served: Flask) -> None:
    shown = answer(encoded(PIXELS))
    assert "answer-own" in shown
    assert "data:image/png;base64," in shown
    assert "Colour the image by" in shown
    assert "evidence for digit" in shown
    assert '"grid": [4, 4]' in shown


def test_a_classifier_without_latents_shows_the_image_alone(served: Flask) -> None:
    shown = answer(encoded(PIXELS), source="hidden")
    assert "data:image/png;base64," in shown
    assert "Colour the image by" not in shown


def test_latents_colour_the_uploaded_image(served: Flask) -> None:
    kept = {"text": "", "spans": [[0, 0]] * 3, "latents": {"4": [[1], [2.0]], "evidence": [[0, 1, 2], [0.5, -1.0, 0]]}}
    kept["names"] = {"4": "latent 4"}
    kept["picture"] = {"name": "a", "src": "data:,", "grid": [1, 2], "patch": [-1, 0, 1], "first_is_class": True}
    by_latent, by_evidence = (text(try_page()._colour(name, kept)) for name in ("4", "evidence"))
    assert "patch row 0, column 0: 2" in by_latent
    assert "cls: 0" in by_latent
    assert "data-token" not in by_latent, "there is nothing to be picked on this page"
    assert "sum to -0.5" in by_evidence


@pytest.mark.parametrize(
    ("content", "words", "expected"),
    [
        (b"no image", None, "The file is not an image"),
        (encoded(PIXELS), "x" * (LONGEST_TEXT + 1), "20,001 characters"),
    ],
)
def test_an_invalid_image_or_text_is_rejected_before_the_model_runs(
    served: Flask, monkeypatch: pytest.MonkeyPatch, content: bytes, words: str | None, expected: str
) -> None:
    monkeypatch.setattr(saefari.pipeline.live.predict, "predict_image", lambda *_: pytest.fail("asked"))
    assert expected in answer(content, words)


def test_image_and_text_reach_the_pipeline(served: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Any] = []
    monkeypatch.setattr(saefari.pipeline.live.predict, "predict_image", lambda *given: found.append(given[2:]))
    answer(encoded(PIXELS), " a flag \n", dataset=PROMPTS)
    answer(encoded(PIXELS), "  ", dataset=PROMPTS)
    assert found == [("linear", encoded(PIXELS), "a flag"), ("linear", encoded(PIXELS), None)]


def test_the_form_matches_the_inputs_of_the_classifier(served: Flask) -> None:
    digit, prompt, majority = (
        text(try_page().layout(run_of(*one))) for one in ((DIGITS,), (PROMPTS,), (DIGITS, "majority"))
    )
    assert "try-image-file" in digit
    shown = [re.search(r'"id": "try-image-text".*?"display": "(\w+)"', one) for one in (digit, prompt)]
    assert [one and one.group(1) for one in shown] == ["none", "block"]
    assert "try-image-file" in majority
    assert "try-classify" not in digit


def test_no_part_of_a_request_is_written_to_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default, the server writes larger requests to a temporary file."""
    given: dict[str, Any] = {}

    class Server:
        def run(self) -> None: ...

    def create(app: Any, **options: Any) -> Server:
        given.update(options, app=app)
        return Server()

    monkeypatch.setattr("waitress.server.create_server", create)
    assert main.main(["--output-dir", str(tmp_path), "--no-browser", "--port", "8790"]) == 0
    largest = len(base64.b64encode(bytes(MOST_BYTES)))
    assert given["inbuf_overflow"] >= given["max_request_body_size"] > largest
    assert given["outbuf_overflow"] > largest
    assert given["app"].config["MAX_CONTENT_LENGTH"] > largest
