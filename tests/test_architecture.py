"""Imports go downward only, stages meet only in the store, and light rooms stay light."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src" / "saefari"
APP = ROOT / "app"
GROUND = {"errors", "log", "fingerprint", "names", "pareto", "provenance"}
ROOMS = {"store", "data", "models", "saes"}
STAGES = {"extract", "classify", "train", "interp", "report"}
"""`interp` is planned: it does not exist yet."""
ALLOWED = {
    "config": GROUND,
    **{room: GROUND | {"config"} for room in ROOMS},
    "models": GROUND | {"config", "data"},  # a model reads a dataset's images
    "saes": GROUND | {"config", "models"},  # an SAE reads a model's hook point
    **{stage: GROUND | {"config"} | ROOMS for stage in STAGES},
    "pipeline": GROUND | {"config"} | ROOMS | STAGES,
    "api": GROUND | {"config"} | ROOMS | STAGES | {"pipeline"},  # the front for Python users, which nothing imports
}
HEAVY = {"torch", "transformers", "sae_lens", "datasets"}
WITHOUT_TORCH = {"config", "store", "data", "classify", "report", "api", *GROUND}
SUBCLASSES_SAE_LENS = "train/jumprelu.py"
"""It needs sae-lens, slow to import, when it is imported itself: that happens inside functions, on first use."""
AT_START = {
    "__init__.py",
    "pipeline/commands/cli.py",
    "pipeline/commands/flags.py",
    *(f"{name}.py" for name in GROUND),
}


APP_MAY_READ = GROUND | {"config", "store"}
APP_DOOR = APP / "engine.py"
"""The app's one way to heavy code; it imports it inside functions, on first use."""


def files() -> list[Path]:
    return sorted(SRC.rglob("*.py"))


def app_files() -> list[Path]:
    return sorted(APP.rglob("*.py"))


def module_name(path: Path) -> str:
    relative = path.relative_to(SRC.parent if path.is_relative_to(SRC) else ROOT).with_suffix("")
    return ".".join(part for part in relative.parts if part != "__init__")


def all_imports(path: Path) -> Iterator[str]:
    """Every module that a file names in an import, inside functions and for type checking too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(path: Path) -> str:
    relative = path.relative_to(SRC)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports(path: Path, at_top: bool = False) -> Iterator[str]:
    """Modules a file imports at run time; with `at_top` only those that importing the file itself imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        if typing_only or (at_top and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))):
            skipped.update(child for child in ast.walk(node) if child is not node)
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"saefari.{alias.name}" for alias in node.names]
            yield from names if node.module == "saefari" else [str(node.module)]


def rooms_in(modules: Iterable[str]) -> set[str]:
    """The rooms of the package that hold these modules; `import saefari` alone opens the front for Python users."""
    paths = [module.split(".") for module in modules]
    return {path[1] if len(path) > 1 else "api" for path in paths if path[0] == "saefari"}


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(SRC)))
def test_imports_go_downward(path: Path) -> None:
    room = room_of(path)
    allowed = {room} | (GROUND if room in GROUND else ALLOWED.get(room, set()))
    assert rooms_in(imports(path)) <= allowed


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(SRC)))
def test_light_rooms_stay_light(path: Path) -> None:
    modules = set(imports(path, at_top=True))
    top = {module.split(".")[0] for module in modules}
    if room_of(path) in WITHOUT_TORCH:
        assert not top & HEAVY
    if str(path.relative_to(SRC)) in AT_START:
        assert not top & (HEAVY | {"pydantic", "pandas", "sklearn", "scipy", "numpy", "matplotlib", "pyarrow"})
    assert "sae_lens" not in top or path == SRC / SUBCLASSES_SAE_LENS
    assert "saefari.train.jumprelu" not in modules


@pytest.mark.parametrize("path", app_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_app_reads_the_store_and_nothing_heavy(path: Path) -> None:
    found = set(imports(path, at_top=path == APP_DOOR))
    assert rooms_in(found) <= APP_MAY_READ
    assert not {module.split(".")[0] for module in found} & (HEAVY | {"safetensors", "skops"})
    assert not {module.split(".")[0] for module in imports(path, at_top=True)} & {"sklearn", "umap", "scipy"}


@pytest.mark.parametrize("path", [*files(), *app_files()], ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_pickled(path: Path) -> None:
    assert "pickle" not in {module.split(".")[0] for module in all_imports(path)}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("np.load", "numpy.load"):
            assert "allow_pickle=False" in map(ast.unparse, node.keywords), f"line {node.lineno}"


@pytest.mark.parametrize("path", [*files(), *app_files()], ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


def test_no_two_files_import_each_other() -> None:
    """Neither directly nor in a chain."""
    names = {module_name(path): path for path in [*files(), *app_files()]}
    graph = nx.DiGraph(
        (name, target)
        for name, path in names.items()
        for target in all_imports(path)
        if target in names and target != name
    )
    assert [group for group in nx.strongly_connected_components(graph) if len(group) > 1] == []
