"""`saefari import-mosaic DIR`: convert published MOSAIC results, and list what could not be converted."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from saefari.names import BASELINES, HIDDEN
from saefari.pipeline.commands.flags import flag_error

if TYPE_CHECKING:
    from saefari.store.layout import Layout
    from saefari.store.mosaic import MosaicResult

_LISTED = 3


@dataclass
class ImportReport:
    """Outcome of an import; files are named relative to the imported folder.

    imported: result folder -> its file. contents: result folder -> SHA-256 of its file.
    unchanged: number of results that were imported before. repeats: file -> the file imported instead, another run of
    the same setting. not_imported: file -> reason. problems: file -> unreadable values, null in the result.
    unused: keys without a counterpart -> the files with exactly these.
    """

    imported: dict[Path, str] = field(default_factory=dict)
    contents: dict[Path, str] = field(default_factory=dict)
    unchanged: int = 0
    repeats: dict[str, str] = field(default_factory=dict)
    not_imported: dict[str, str] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)
    unused: dict[tuple[str, ...], list[str]] = field(default_factory=dict)


def run_import(flags: argparse.Namespace) -> int:
    """Run the command and print its report. Returns 1 if a file, or every file, was not imported, else 0.

    Raises ConfigError if DIR is not a folder, StoreError if the output cannot be written.
    """
    from saefari.store.layout import Layout
    from saefari.store.mosaic import PATTERN

    source, output = Path(flags.folder), Path(flags.output_dir)
    if not source.is_dir():
        raise flag_error("DIR", f"{flags.folder!r} is not a folder: give the folder of MOSAIC's results")
    report = import_mosaic(source, Layout(output / "activations", output / "classifications"), dry_run=flags.dry_run)
    print(describe_import(report, flags.dry_run))
    if not report.imported and not report.not_imported:
        print(f"no file below {flags.folder} is named {PATTERN}, as MOSAIC names its results")
    return 1 if report.not_imported or not report.imported else 0


def import_mosaic(source: Path, layout: Layout, *, dry_run: bool = False) -> ImportReport:
    """Convert every MOSAIC result below a folder into the output tree, then write summary.csv.

    A folder is only written to if it is new or holds an import of the same content. Of several runs of one setting
    the last by name is imported, since MOSAIC names run folders by time.
    """
    from saefari.errors import StoreError
    from saefari.report.results.summary import write_summary
    from saefari.store import lock_tree
    from saefari.store.mosaic import PATTERN, dataset_folders, read_mosaic

    report = ImportReport()
    paths = sorted(source.rglob(PATTERN), reverse=True)
    datasets = dataset_folders(paths)
    with ExitStack() as locks:
        if not dry_run:
            locks.enter_context(lock_tree(layout.classifications))
        for path in paths:
            name = _printable(path.relative_to(source).as_posix())
            try:
                _import_results(read_mosaic(path, name, datasets), layout, report, dry_run)
            except StoreError as error:
                report.not_imported[name] = str(error)
        if not dry_run:
            write_summary(layout.summary)
    return report


def _import_results(found: Sequence[MosaicResult], layout: Layout, report: ImportReport, dry_run: bool) -> None:
    """Import the results of one file and record them in the report. Raises StoreError if a folder is occupied."""
    for converted in found:
        origin, settings = converted.result["imported_from"], converted.result["settings"]
        folder, name = _folder(settings, layout), origin["file"]
        if folder in report.imported:
            # Every file of a dataset repeats its baseline, which is not reported.
            if settings["source"] != "tfidf" or report.contents[folder] != origin["sha256"]:
                report.repeats[_title(name, settings["source"])] = report.imported[folder]
            continue
        settings["neuronpedia"] = _neuronpedia(settings)
        report.unchanged += _write_result(converted.result, folder, dry_run)
        report.imported[folder] = _title(name, settings["source"])
        report.contents[folder] = origin["sha256"]
        if converted.problems:
            report.problems[name] = converted.problems
        if settings["source"] != "tfidf":
            report.unused.setdefault(tuple(converted.unused), []).append(name)


def _title(file: str, source: str) -> str:
    """Return a result's name in the report: its file; baselines are stored in the file of another result."""
    return f"{file} (bow_baseline)" if source == "tfidf" else file


def _neuronpedia(settings: dict[str, Any]) -> str | None:
    """Return the SAE's Neuronpedia id from the sae-lens catalogue; None for other features and unknown SAEs."""
    from saefari.errors import SaeError
    from saefari.saes.catalogue import find_sae

    location: Any = settings["sae_location"] or "res"
    if settings["source"] != "sae" or location not in ("res", "mlp", "att"):
        return None
    try:
        return find_sae(settings["model"], settings["layer"], settings["width"], location).neuronpedia_id
    except SaeError:
        return None


def describe_import(report: ImportReport, dry_run: bool) -> str:
    """Format the report as text, the most important lines last."""
    lines = [f"  {folder}  <-  {name}" for folder, name in sorted(report.imported.items())]
    lines += _unused_lines(report.unused)
    if report.problems:
        lines.append("unreadable values, empty in the result:")
        lines += [f"  {name}: {problem}" for name, problems in sorted(report.problems.items()) for problem in problems]
    if report.repeats:
        lines.append("skipped, because another run of the same setting was imported:")
        lines += [f"  {name}: {other}" for name, other in sorted(report.repeats.items())]
    if report.not_imported:
        lines.append("not imported:")
        lines += [f"  {name}: {reason}" for name, reason in sorted(report.not_imported.items())]
    done = "would be imported" if dry_run else "imported"
    lines.append(
        f"{_count(len(report.imported), 'result')} {done}"
        + (f" ({report.unchanged} unchanged)" if report.unchanged else "")
        + f", {_count(len(report.repeats), 'repeated run')} skipped"
        + f", {_count(len(report.not_imported), 'file')} not imported"
    )
    return "\n".join(lines)


def _unused_lines(unused: dict[tuple[str, ...], list[str]]) -> list[str]:
    """List the unused keys of all files, then those of some files only."""
    shared = set.intersection(*map(set, unused)) if unused else set()
    lines = ["ignored keys of every file:", f"  {', '.join(sorted(shared))}"] if shared else []
    for keys, names in unused.items():
        rest = [key for key in keys if key not in shared]
        if rest:
            shown = ", ".join(sorted(names)[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
            lines += [f"ignored keys of {_count(len(names), 'file')} ({shown}):", f"  {', '.join(rest)}"]
    return lines


def _write_result(result: dict[str, Any], folder: Path, dry_run: bool) -> bool:
    """Write a result to its folder; return True if it was stored already.

    Raises StoreError if the folder holds something else.
    """
    from saefari.errors import StoreError
    from saefari.store import read_result, write_json
    from saefari.store.layout import RESULTS

    if (folder / RESULTS).exists():
        stored = read_result(folder)
        origin = stored.get("imported_from")
        if origin is None or origin.get("sha256") != result["imported_from"]["sha256"]:
            content = "a result of this program" if origin is None else "the import of another file"
            raise StoreError(f"{folder} holds {content}; remove it to import this file")
        if stored == result:
            return True
    elif folder.exists() and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise StoreError(f"{folder} holds files of an unfinished run; remove it to import this file")
    if not dry_run:
        if result["settings"]["source"] != "tfidf":  # baselines were never renamed, and several settings share one
            _remove_renamed(result, folder)
        write_json(folder / RESULTS, result)
    return False


def _remove_renamed(result: dict[str, Any], folder: Path) -> None:
    """Remove the same file's result from a sibling folder: earlier versions had fewer settings in the folder name."""
    from saefari.store import iter_results
    from saefari.store.layout import RESULTS

    for other, stored in iter_results(folder.parent):
        origin = stored.get("imported_from")
        if other != folder and origin and origin.get("sha256") == result["imported_from"]["sha256"]:
            (other / RESULTS).unlink()


def _folder(settings: dict[str, Any], layout: Layout) -> Path:
    """Return the folder of a result. Raises StoreError for a name that cannot be a folder name."""
    from saefari.store.mosaic_settings import setting_folder

    source = settings["source"]
    width = _slug("width", settings["width"]) if source == "sae" else HIDDEN
    return layout.results(
        BASELINES if source == "tfidf" else _slug("model", settings["model"]),
        _slug("dataset", settings["dataset"]),
        _slug("config", settings["config"]) if settings["config"] else None,
        _slug("split", settings["split"]),
        *([source] if source == "tfidf" else [f"layer_{settings['layer']}", width]),
        setting_folder(settings),
    )


def _slug(kind: str, name: str) -> str:
    """Return the folder name of a model, dataset or split; for a hub id the same as in other runs."""
    from saefari.data.slug import dataset_slug
    from saefari.errors import StoreError

    if all(part in ("..", PurePath(name).anchor) for part in PurePath(name).parts):
        raise StoreError(f"the {kind} {name!r:.80} is not a valid name")
    return dataset_slug(name)


def _printable(text: str) -> str:
    """Replace unprintable characters of a file name."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
