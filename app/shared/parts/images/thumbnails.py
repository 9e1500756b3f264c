"""Thumbnails in a table; the browser loads only those in view."""

from __future__ import annotations

from typing import Any

from app.shared.parts.grid import text_column

ROW_HEIGHT = 52
"""Height in pixels of a table row with a thumbnail."""


def thumbnail_column(name: str, title: str, views: str = "", alt: str = "", **options: Any) -> dict[str, Any]:
    """A column of row numbers, shown as images. alt: the table's field with the image's name.

    views: URL prefix of the row numbers; "" if the column holds full URLs.
    """
    renderer = {"cellRenderer": "Thumbnail", "cellRendererParams": {"base": views, "alt": alt}}
    shown = {"width": 76, "minWidth": 60, "sortable": False, "filter": False, "cellClass": "thumbnail-cell"}
    return text_column(name, title) | renderer | shown | options
