"""Names of positions: a token of the text, a patch of the image, or a special token."""

from __future__ import annotations

from app.shared.data.images.picture import Picture


def position_name(text: str | None, span: tuple[int, int], picture: Picture | None, position: int) -> str:
    """Name a position: `patch row 2, column 3` (counted from 0), a token's text, `cls`, or `special token`.

    span: first and past-last character in the text. In a row without an image, a token without characters is "".
    """
    if picture is not None:
        if place := picture.place(position):
            return patch_name(*place)
        if position == 0 and picture.first_is_class:
            return "cls"
    name = (text or "")[slice(*span)].strip()
    return name or ("" if picture is None else "special token")


def patch_name(row: int, column: int) -> str:
    """`patch row 2, column 3`, counted from 0 at the top left."""
    return f"patch row {row}, column {column}"
