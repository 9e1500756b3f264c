"""Prose paragraphs from the docstrings of an installed package, read from its source without importing it."""

from __future__ import annotations

import ast
import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

from saefari.errors import DataError

MIN_WORDS, MAX_WORDS = 10, 80
_PER_FILE = 60
"""Maximum number of paragraphs per file, so that no single module dominates a library."""
_TESTS = {"test", "tests", "testing"}
_VENDORED = {"_vendor", "array_api_compat", "array_api_extra", "distutils", "externals", "vendor"}
_LISTS = (
    {"parameters", "other parameters", "args", "arguments", "keyword arguments", "inputs", "outputs", "shape"}
    | {"attributes", "methods", "returns", "return", "yields", "receives", "raises", "warns"}
    | {"see also", "example", "examples", "references"}
)
"""Sections that contain lists, code or citations rather than prose."""
_UNDERLINE = re.compile(r"\s*[-=~^]{3,}\s*$")
_GENERATED = re.compile(
    r"^When used in a template|^The '\w+' property|^Construct a new |constructor must be a dict|"
    r"^(Instantiating|Instantiate) a configuration|^Configuration objects inherit|"
    r"^Read the documentation from|^This model (inherits|is also)|^It is used to instantiate|"
    r"Chart Studio Cloud|^Metadata routing for|scikit-learn API|keyword argument forwarded"
)
"""Phrases that code generators repeat across classes."""


@dataclass(frozen=True)
class Paragraph:
    """Paragraph of a docstring. module: dotted path; name: the documented object, '' for the module itself."""

    module: str
    name: str
    text: str


def paragraphs(package: str) -> Iterator[Paragraph]:
    """Yield distinct prose paragraphs of a package, with white space collapsed.

    Files are ordered by a hash of their path, so every prefix covers all parts of the package.
    Raises DataError if the package is not installed.
    """
    seen: set[str] = set()
    for module, path in sources(package):
        fresh = (paragraph for paragraph in _file_paragraphs(module, path) if _is_new(paragraph.text, seen))
        yield from islice(fresh, _PER_FILE)


def sources(package: str) -> list[tuple[str, Path]]:
    """Return (dotted module, file) of a package's sources, without tests and vendored code, in reading order.

    Raises DataError if the package is not installed.
    """
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise DataError(f"the package {package!r}, whose docstrings are part of the dataset, is not installed")
    root = next(iter(found.submodule_search_locations))
    files = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if name not in _TESTS | _VENDORED]
        parts = Path(folder).relative_to(root).parts
        for name in names:
            if name.endswith(".py"):
                module = ".".join((package, *parts, name)).removesuffix(".py").removesuffix(".__init__")
                files.append((module, Path(folder, name)))
    return sorted(files, key=lambda source: blake2b(source[0].encode(), digest_size=8).digest())


def _file_paragraphs(module: str, path: Path) -> Iterator[Paragraph]:
    source = path.read_bytes()
    if b'"""' not in source:
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError):  # written for another Python version
        return
    for name, node in _documented(tree):
        for text in prose(ast.get_docstring(node) or ""):
            yield Paragraph(module, name, text)


def _documented(
    node: ast.AST, prefix: str = ""
) -> Iterator[tuple[str, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield a module and its classes and functions, at any depth, with their dotted names."""
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        yield prefix, node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from _documented(child, f"{prefix}.{child.name}".lstrip("."))
        elif isinstance(child, (ast.If, ast.Try)):
            yield from _documented(child, prefix)


def prose(docstring: str) -> Iterator[str]:
    """Yield the prose paragraphs of a cleaned docstring, without lists, tables, code and section headings."""
    in_list = False
    for block in re.split(r"\n[ \t]*\n", docstring):
        lines = block.strip("\n").split("\n")
        opening = lines[0].partition(":")[0].strip().lower()
        if len(lines) > 1 and _UNDERLINE.match(lines[1]):
            in_list = opening in _LISTS
            lines = lines[2:]
        is_formatted = any(line[:1].isspace() or _UNDERLINE.match(line) for line in lines)
        text = " ".join(" ".join(lines).split())
        if not (in_list or is_formatted or opening in _LISTS) and _reads_as_prose(text):
            yield text


def _reads_as_prose(text: str) -> bool:
    words = text.split()
    if not MIN_WORDS <= len(words) <= MAX_WORDS or not text[0].isalpha():
        return False
    if any(mark in text for mark in (">>>", ".. ", "::", "|", "{{", " = ", "http", ":param", "%(")):
        return False
    plain = sum(re.fullmatch(r"[\"'(]?[A-Za-z][a-z'-]*[\"')]?[.,;:!?]?", word) is not None for word in words)
    return plain >= 0.7 * len(words) and not _GENERATED.search(text)


def _is_new(text: str, seen: set[str]) -> bool:
    """Return whether neither the first nor the last ten words of a text are in `seen`; add both to it."""
    words = re.findall(r"[a-z]+", text.lower())
    keys = {" ".join(words[:10]), " ".join(words[-10:])}
    new = seen.isdisjoint(keys)
    seen |= keys
    return new
