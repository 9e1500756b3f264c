"""Base class, field types and error type of the sections of conf.yaml."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from saefari.names import HIDDEN, RANDOM

Place = tuple[str | int, ...]
"""Location in the file, relative to the section that is validated: ("k", 1) is k[1]."""

_UNITS = {"": 1, "k": 1024, "m": 1024 * 1024}


class Section(BaseModel):
    """A section of conf.yaml: immutable; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


def validation_error(found: list[tuple[Place, object, str]]) -> ValidationError:
    """Return the error for a section's validator to raise. found: (place, value, message) of each error."""
    details = [
        InitErrorDetails(type=PydanticCustomError("mistake", "{message}", {"message": text}), loc=place, input=value)
        for place, value, text in found
    ]
    return ValidationError.from_exception_data("configuration", details)


def as_list(value: object) -> object:
    """Return a list as it is and any other value as a list of one."""
    return value if isinstance(value, (list, tuple)) else [value]


def width_to_d_sae(width: str) -> int | None:
    """Return the number of latents that a width names ('3k' -> 3072, '512' -> 512), or None if it names none."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmM]?)", width)
    return round(float(match[1]) * _UNITS[match[2].lower()]) if match else None


def _none_if_empty(value: object) -> object:
    return None if value == "" else value


def _not_reserved(name: str) -> str:
    if name == HIDDEN or name.endswith(RANDOM):
        raise ValueError(f"the name of an SAE may not be {HIDDEN!r} or end in {RANDOM!r}: these names are reserved")
    return name


def _valid_file_name(value: str) -> str:
    if "\0" in value or max(len(part.encode()) for part in value.split("/")) > 255:
        raise ValueError("is not a valid file name: a name has at most 255 bytes, none of them 0")
    return value


EmptyIsNone = BeforeValidator(_none_if_empty)
Text = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_valid_file_name)]
"""A name of a file, model, dataset or column."""
Optional = Annotated[Text | None, EmptyIsNone]
SaeName = Annotated[
    str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$"), AfterValidator(_not_reserved)
]
"""Name of an SAE in conf.yaml and of its folder."""
