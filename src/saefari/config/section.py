"""What every section of conf.yaml is made of."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from saefari.names import HIDDEN, RANDOM

Place = tuple[str | int, ...]
"""Where in the file, below the section that checks: ("k", 1) is k[1]."""

_UNITS = {"": 1, "k": 1024, "m": 1024 * 1024}


class Section(BaseModel):
    """A section of conf.yaml: immutable, and an unknown key is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


def mistakes(found: list[tuple[Place, object, str]]) -> ValidationError:
    """What a section's validator raises: for each mistake its place below the section, its value and a message."""
    details = [
        InitErrorDetails(type=PydanticCustomError("mistake", "{message}", {"message": text}), loc=place, input=value)
        for place, value, text in found
    ]
    return ValidationError.from_exception_data("configuration", details)


def listed(value: object) -> object:
    """One value, where several may stand, as a list of it."""
    return value if isinstance(value, (list, tuple)) else [value]


def width_to_d_sae(width: str) -> int | None:
    """d_sae that a width names, in binary thousands: '3k' -> 3072, '512' -> 512; None if it names none."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmM]?)", width)
    return round(float(match[1]) * _UNITS[match[2].lower()]) if match else None


def _none_if_empty(value: object) -> object:
    return None if value == "" else value


def _not_taken(name: str) -> str:
    if name == HIDDEN or name.endswith(RANDOM):
        raise ValueError(f"an SAE may not be called {HIDDEN!r} or end in {RANDOM!r}: the store uses those names")
    return name


def _may_name_a_file(value: str) -> str:
    if "\0" in value or max(len(part.encode()) for part in value.split("/")) > 255:
        raise ValueError("no file can be called that: a name has at most 255 bytes, none of them 0")
    return value


EmptyIsNone = BeforeValidator(_none_if_empty)
Text = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_may_name_a_file)]
"""A name: of a file, model, dataset, column."""
Optional = Annotated[Text | None, EmptyIsNone]
SaeName = Annotated[
    str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$"), AfterValidator(_not_taken)
]
"""What an SAE is called, in conf.yaml and as a folder."""
