"""Stored fingerprint and row count are used only if the sources of the rows are unchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from saefari.config import DatasetSpec
from saefari.data import embedded, open_dataset
from saefari.data.digits import Digits
from saefari.data.embedded import PythonDocs
from saefari.data.known_rows import KnownRows, sources_digest

PROSE = "This function returns the number of words in a text, counted in the way that most people would count them."


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Installed package that is the only source of python-docs."""
    root = tmp_path / "wordy"
    (root / "tests").mkdir(parents=True)
    (root / "__init__.py").write_text(f'"""{PROSE}"""\n')
    (tmp_path / "wordy-1.0.dist-info").mkdir()
    (tmp_path / "wordy-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: wordy\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(embedded, "_LIBRARIES", {"wordy": "wordy"})
    clear_caches()
    yield root
    clear_caches()


def clear_caches() -> None:
    """Clear the caches, as in a new process."""
    embedded._python_docs.cache_clear()
    embedded._python_docs_sources.cache_clear()


def digest() -> str:
    clear_caches()
    return sources_digest(PythonDocs())


def known() -> KnownRows:
    clear_caches()
    return open_dataset(DatasetSpec(name="python-docs", text_field="text"), "train").known_rows()


def new_version(package: Path) -> None:
    (package.parent / "wordy-1.0.dist-info" / "METADATA").write_text("Name: wordy\nVersion: 1.1\n")


CHANGES: dict[str, Callable[[Path], object]] = {
    "text": lambda package: (package / "__init__.py").write_text(f'"""{PROSE.replace("words", "lines")}"""\n'),
    "file": lambda package: (package / "more.py").write_text(f'"""{PROSE.replace("words", "lines")}"""\n'),
    "name": lambda package: (package / "__init__.py").rename(package / "core.py"),
    "version": new_version,
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_package_is_read_again(package: Path, change: str) -> None:
    before = known()
    assert (before.n_rows, before.sources) == (1, digest())
    CHANGES[change](package)
    after = known()
    assert after.sources != before.sources
    assert after.fingerprint != before.fingerprint
    clear_caches()
    assert open_dataset(DatasetSpec(name="python-docs", text_field="text"), "train", before).known_rows() == after


def test_files_without_rows_do_not_affect_the_digest(package: Path) -> None:
    before = digest()
    (package / "tests" / "test_words.py").write_text(f'"""{PROSE}"""\n')
    (package / "notes.txt").write_text("nothing")
    assert digest() == before


def test_rows_of_unchanged_sources_are_not_read(package: Path) -> None:
    record = replace(known(), n_rows=12_345)
    dataset = open_dataset(DatasetSpec(name="python-docs", text_field="text"), "train", record)
    assert (dataset.n_rows, dataset.fingerprint) == (12_345, record.fingerprint)
    assert dataset.known_rows() == record


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_changed_file_is_counted_again(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    lines = {"rows.csv": ["text", "a", "b"], "rows.jsonl": ['{"text": "a"}', '{"text": "b"}']}[name]
    path.write_text("\n".join(lines) + "\n")
    spec = DatasetSpec(name=str(path), text_field="text", label_field="text")
    record = open_dataset(spec, "train").known_rows()
    assert record.n_rows == 2
    assert open_dataset(spec, "train", replace(record, n_rows=7)).n_rows == 7
    path.write_text("\n".join([*lines, lines[-1]]) + "\n")
    assert open_dataset(spec, "train", record).n_rows == 3


def test_digits_have_sources() -> None:
    assert Digits().sources() == Digits().sources() != Digits().fingerprint()


def test_invalid_record_is_none() -> None:
    for record in (None, "text", {}, {"sources": "a", "fingerprint": "b", "n_rows": "many"}):
        assert KnownRows.from_record(record) is None
