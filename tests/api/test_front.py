"""`import saefari` is light, and offers what it lists."""

from __future__ import annotations

import subprocess
import sys

import pytest

import saefari
from saefari.api import codes, result, tree
from saefari.errors import SaefariError

LIGHT = """
import sys
before = set(sys.modules)
import saefari
assert saefari.__version__ and set(saefari.__all__) <= set(dir(saefari))
third_party = {name.split(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names - {"saefari"}
assert not third_party, third_party
saefari.open_tree
assert "pandas" in sys.modules
assert not {"torch", "transformers", "sklearn", "matplotlib"} & set(sys.modules)
"""


def test_importing_the_package_imports_no_library() -> None:
    ended = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_every_listed_name_is_the_one_that_its_module_defines() -> None:
    assert (saefari.Tree, saefari.open_tree) == (tree.Tree, tree.open_tree)
    assert (saefari.Result, saefari.Codes, saefari.SaefariError) == (result.Result, codes.Codes, SaefariError)
    assert set(saefari._MODULES) == set(saefari.__all__) - {"__version__"}


def test_a_star_import_gives_the_listed_names() -> None:
    names: dict[str, object] = {}
    exec("from saefari import *", names)
    assert set(names) - {"__builtins__"} == set(saefari.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'saefari' has no attribute 'open_treee'"):
        saefari.open_treee  # noqa: B018


@pytest.mark.parametrize("name", sorted(set(saefari.__all__) - {"__version__"}))
def test_every_public_name_and_method_is_documented(name: str) -> None:
    public = getattr(saefari, name)
    assert public.__doc__
    for attribute, value in vars(public).items():
        if not attribute.startswith("_") and (callable(value) or isinstance(value, property)):
            assert value.__doc__, f"{name}.{attribute}"
