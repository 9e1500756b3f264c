"""Names of image latents: classes, where in the image the active patches are, and their brightness."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from saefari.interp.explainers.lexical import LexicalExplainer
from saefari.interp.explainers.lexicon.background import Background
from saefari.interp.records import LatentExamples
from tests.interp.explainers.pictures import GRID, picture

ROWS, COLUMNS = GRID


def name_of(cells: list[list[int]], class_rows: dict[str, tuple[int, int]] | None = None) -> tuple[str, str]:
    contexts = tuple(picture(row, active) for row, active in enumerate(cells))
    examples = LatentExamples(1, contexts, (), np.zeros(0, np.int8), (), class_rows=class_rows or {})
    return LexicalExplainer(Background([])).describe(examples)


@pytest.mark.parametrize(
    ("cells", "where"),
    [
        ([[0], [1], [COLUMNS]], "upper left"),
        ([[c] for c in range(COLUMNS)], "upper rows"),
        ([[r * COLUMNS + COLUMNS - 1] for r in range(ROWS)], "right columns"),
        ([[2 * COLUMNS + 2, 3 * COLUMNS + 3]], "centre"),
        ([[(ROWS - 1) * COLUMNS + 2]], "lower middle"),
    ],
)
def test_positions(cells: list[list[int]], where: str) -> None:
    assert name_of(cells)[0] == f"{where}, various classes"


def test_sentences_name_the_patches() -> None:
    assert name_of([[0], [1], [COLUMNS]])[1] == "Upper left patches, in images of various classes."
    assert name_of([[c] for c in range(COLUMNS)])[1] == "Patches in the upper rows, in images of various classes."


def test_classes_and_positions() -> None:
    rows = {"7": (80, 100), "1": (5, 100), "2": (5, 100)}
    assert name_of([[0], [1]], rows) == ("class 7, upper left", "Images of class 7, upper left patches.")
    everywhere = [[cell] for cell in range(ROWS * COLUMNS)]
    assert name_of(everywhere, rows) == ("class 7", "Images of class 7, in any part of the image.")
    assert name_of(everywhere)[0] == "no common class or position"


def test_classes_of_the_strongest_activations() -> None:
    """The latent is active in every image, and strongest in those of class 5."""
    contexts = []
    for row in range(40):
        weak = picture(row, [row * 7 % 36], str(row % 8))
        is_strong = row < 12
        contexts.append(
            replace(
                weak, activations=weak.activations * (5 if is_strong else 1), label="5" if is_strong else weak.label
            )
        )
    rows = {str(name): (99, 100) for name in range(10)}
    examples = LatentExamples(1, tuple(contexts), (), np.zeros(0, np.int8), (), class_rows=rows)
    name, sentence = LexicalExplainer(Background([])).describe(examples)
    assert name == "strongest in class 5"
    assert sentence == "Patches, in images of various classes, strongest in class 5."


@pytest.mark.parametrize(("level", "tone"), [(255, "bright "), (0, "dark "), (128, "")])
def test_brightness(level: int, tone: str) -> None:
    """The active patches against the others of their image, half of them darker."""
    pixels = np.tile(np.repeat([60, 200], 6).astype(np.uint8), (12, 1))
    pixels[:2, :2] = level
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    context = picture(0, [0])
    assert context.image is not None
    contexts = (replace(context, image=replace(context.image, png=buffer.getvalue())),)
    examples = LatentExamples(1, contexts, (), np.zeros(0, np.int8), ())
    assert LexicalExplainer(Background([])).describe(examples)[0] == f"{tone}upper left, various classes"


def test_positions_outside_the_image_have_no_place() -> None:
    assert name_of([[-1], [-1]])[0] == "no common class or position"
