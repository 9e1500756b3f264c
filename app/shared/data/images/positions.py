"""What a position of a row is called: a piece of its text, a patch of its image, or neither."""

from __future__ import annotations

from app.shared.data.images.picture import Picture


def position_name(text: str | None, span: tuple[int, int], picture: Picture | None, position: int) -> str:
    """`patch row 2, column 3` (counted from 0), the characters of a token, `cls`, or `special token`.

    span: first and past-last character, in the text. Of a row without an image a token may be named "".
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
