"""Columns of a table fill its width."""

from __future__ import annotations

from typing import Any

from app.shared.parts.grid import grid, number_column, text_column


def columns(*given: dict[str, Any]) -> list[dict[str, Any]]:
    """The columns of a table that is made of these."""
    _export, table = grid("some", list(given), []).children
    found: list[dict[str, Any]] = table.columnDefs
    return found


def test_text_columns_grow_and_never_get_narrower_than_their_width() -> None:
    first, second, number = columns(
        text_column("a", width=200), text_column("b", width=100), number_column("c", width=90)
    )
    assert (first["flex"], first["minWidth"]) == (200, 200)
    assert (second["flex"], second["minWidth"]) == (100, 100)
    assert "flex" not in number


def test_columns_that_grow_by_themselves_are_left_as_they_are() -> None:
    given = [text_column("a", width=200), text_column("b", flex=1), number_column("c", width=90)]
    assert columns(*given) == given


def test_without_text_columns_all_grow_but_pinned_ones() -> None:
    pinned, number = columns(text_column("a", width=90, pinned="left"), number_column("b", width=120))
    assert ("flex" in pinned, number["flex"]) == (False, 120)


def test_hidden_columns_are_exported() -> None:
    _export, table = grid("some", [text_column("a", hide=True)], []).children
    assert table.csvExportParams["allColumns"] is True
