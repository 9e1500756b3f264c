"""Names of image latents: classes, and where in the image the active patches are."""

from __future__ import annotations

import numpy as np
import pytest

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
        ([[0], [1], [COLUMNS]], "upper left patches"),
        ([[c] for c in range(COLUMNS)], "upper patches"),
        ([[r * COLUMNS + COLUMNS - 1] for r in range(ROWS)], "right patches"),
        ([[2 * COLUMNS + 2, 3 * COLUMNS + 3]], "centre patches"),
        ([[(ROWS - 1) * COLUMNS + 2]], "lower central patches"),
    ],
)
def test_positions(cells: list[list[int]], where: str) -> None:
    assert name_of(cells)[0] == f"{where}, all classes"


def test_classes_and_positions() -> None:
    rows = {"7": (80, 100), "1": (5, 100), "2": (5, 100)}
    assert name_of([[0], [1]], rows) == ("class 7, upper left patches", "Images of class 7, upper left patches.")
    everywhere = [[cell] for cell in range(ROWS * COLUMNS)]
    assert name_of(everywhere, rows) == ("class 7", "Images of class 7, in any part of the image.")
    assert name_of(everywhere)[0] == "no common class or position"


def test_positions_outside_the_image_have_no_place() -> None:
    assert name_of([[-1], [-1]])[0] == "no common class or position"
