"""Small images in a table: the browser asks for those in view."""

from __future__ import annotations

from typing import Any

from app.shared.parts.grid import text_column

ROW_HEIGHT = 52
"""Pixels of a table's row with a thumbnail."""


def thumbnail_column(name: str, title: str, views: str = "", alt: str = "", **options: Any) -> dict[str, Any]:
    """A column of rows' numbers, shown as their images. views: the address that they go behind; "" where the column
    holds whole addresses.

    alt: the field of the table that names the image.
    """
    renderer = {"cellRenderer": "Thumbnail", "cellRendererParams": {"base": views, "alt": alt}}
    shown = {"width": 76, "minWidth": 60, "sortable": False, "filter": False, "cellClass": "thumbnail-cell"}
    return text_column(name, title) | renderer | shown | options
