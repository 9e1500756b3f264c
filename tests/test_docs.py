"""The documentation agrees with the code: generated pages, links, file names, columns and configurations."""

from __future__ import annotations

import importlib
import re
import runpy
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import yaml

from saefari.config import parse_config
from saefari.pipeline.commands.cli import main
from saefari.report.images.top_images_table import COLUMNS as TOP_IMAGE_COLUMNS
from saefari.report.results.summary import COLUMNS as SUMMARY_COLUMNS
from saefari.report.results.transfer import COLUMNS as TRANSFER_COLUMNS
from saefari.report.saes.comparison import SAE_COLUMNS, SCORE_COLUMNS
from saefari.store import IMAGE_SCHEMA

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [
    *sorted(DOCS.glob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "output/README.md")),
]
EXAMPLES = {path.name for path in (ROOT / "examples").glob("*.yaml")}
OUTSIDE = re.compile(r"https?://|mailto:")


def without_code(text: str) -> str:
    """Return Markdown without its code blocks and inline code."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def links(text: str) -> Iterator[tuple[str, str]]:
    """Yield (path, anchor) of every link and picture to a place in the project."""
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(text)):
        if not OUTSIDE.match(target):
            path, _, anchor = target.partition("#")
            yield path, anchor


def anchors(text: str) -> set[str]:
    """Return the anchors of a page: those of its headings and its `<a id>` elements."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r'<a id="([^"]+)"', text))


def section(page: Path, heading: str) -> str:
    """Return the text below a heading, up to the next one."""
    return re.split(r"^#+ ", page.read_text(encoding="utf-8").split(f"# {heading}\n", 1)[1], flags=re.MULTILINE)[0]


def test_configuration_page_is_up_to_date() -> None:
    generated = runpy.run_path(str(DOCS / "generate_configuration.py"))["page"]()
    assert generated == (DOCS / "configuration.md").read_text(encoding="utf-8"), "run `make docs` and commit the page"


def test_every_key_has_a_docstring() -> None:
    script = runpy.run_path(str(DOCS / "generate_configuration.py"))
    undocumented = [
        (heading, key)
        for heading, keys in script["SECTIONS"].items()
        for key in keys.model_fields
        if not script["docstrings"](keys).get(key)
    ]
    assert undocumented == []


def test_the_readme_fits_three_screens() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 180


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for path, anchor in links(text):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {path} does not exist"
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{page.name}: {path}#{anchor} does not exist"


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "recipes.md"], ids=lambda page: page.name)
def test_every_example_is_listed(page: Path) -> None:
    assert set(re.findall(r"examples/([\w-]+\.yaml)", page.read_text(encoding="utf-8"))) == EXAMPLES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_configurations_in_the_pages_are_valid(page: Path) -> None:
    for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        raw = yaml.safe_load(block)
        raw.setdefault("models", [{"name": "m", "layers": 1, "widths": ["1k"]}])
        raw.setdefault("datasets", [{"name": "d", "text_field": "text"}])
        parse_config(raw)


@pytest.mark.parametrize(
    ("heading", "columns"),
    [
        ("samples.parquet", IMAGE_SCHEMA.names),
        ("split.parquet", ["row", "part"]),
        ("summary.csv", SUMMARY_COLUMNS),
        ("saes.csv", SAE_COLUMNS),
        ("sae_scores.csv", SCORE_COLUMNS),
        ("transfer.csv", TRANSFER_COLUMNS),
        ("top_images.csv", TOP_IMAGE_COLUMNS),
    ],
)
def test_every_column_of_the_output_is_documented(heading: str, columns: Sequence[str]) -> None:
    first_cells = re.findall(r"^\| (`.*?) \|", section(DOCS / "output.md", heading), re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(first_cells))) == sorted(columns)


def test_paths_of_the_architecture_page_exist() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:src|app|tests|docs|examples|benchmarks)/[\w./-]*)`", text))
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_symbols_of_the_architecture_page_exist() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    missing = []
    for path, symbols in re.findall(r"`((?:src|app|tests)/[\w./-]+\.py)`\s*\(((?:`\w+`(?:,| or| and)?\s*)+)", text):
        source = (ROOT / path).read_text(encoding="utf-8")
        for symbol in re.findall(r"`(\w+)`", symbols):
            if not re.search(rf"^(?:def|class) {symbol}\b|^{symbol}\b.*=", source, re.MULTILINE):
                missing.append(f"{path}: {symbol}")
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_imports_in_the_pages_work(page: Path) -> None:
    for module, names in re.findall(
        r"^from (saefari[\w.]*) import (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE
    ):
        imported = importlib.import_module(module)
        assert [name for name in names.split(", ") if not hasattr(imported, name)] == []


def test_every_command_and_make_target_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    ([a-z][\w-]*)(?: |$)", capsys.readouterr().out, re.MULTILINE)
    targets = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert targets is not None
    expected = [f"`saefari {name}`" for name in commands] + [f"`make {name}`" for name in targets[1].split()]
    assert len(commands) >= 8
    assert [name for name in expected if name not in text] == []
