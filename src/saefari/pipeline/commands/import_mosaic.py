"""`saefari import-mosaic DIR`: convert MOSAIC's published results, and list what could not be converted."""

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
    """What an import did, file by file; files are named relative to the imported folder.

    imported: a result's folder -> its file. contents: a result's folder -> the SHA-256 of what it was made from.
    unchanged: how many of these were there already, word for word.
    repeats: file -> the file that was imported instead, another run of the same setting.
    left: file -> why it was not imported. problems: file -> values that could not be read, null in the result.
    unused: keys that have no counterpart -> the files that have just these.
    """

    imported: dict[Path, str] = field(default_factory=dict)
    contents: dict[Path, str] = field(default_factory=dict)
    unchanged: int = 0
    repeats: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)
    unused: dict[tuple[str, ...], list[str]] = field(default_factory=dict)


def run_import(flags: argparse.Namespace) -> int:
    """Run the command and print its report. The exit code is 1 when a file, or every file, was not imported.

    Raises ConfigError when DIR is no folder, StoreError when the output cannot be written.
    """
    from saefari.store.layout import Layout
    from saefari.store.mosaic import PATTERN

    source, output = Path(flags.folder), Path(flags.output_dir)
    if not source.is_dir():
        raise flag_error("DIR", f"{flags.folder!r} is no folder: give one that holds MOSAIC's results")
    report = import_mosaic(source, Layout(output / "activations", output / "classifications"), dry_run=flags.dry_run)
    print(describe_import(report, flags.dry_run))
    if not report.imported and not report.left:
        print(f"no file below {flags.folder} is named as MOSAIC names its results, {PATTERN}")
    return 1 if report.left or not report.imported else 0


def import_mosaic(source: Path, layout: Layout, *, dry_run: bool = False) -> ImportReport:
    """Convert every MOSAIC result below a folder into the output tree, then write summary.csv.

    A folder is only written to when it is new or holds an import of the same content. Of several runs of one setting
    the last by name is imported: MOSAIC names a run's folder by its time.
    """
    from saefari.errors import StoreError
    from saefari.report.results.summary import write_summary
    from saefari.store import hold_tree
    from saefari.store.mosaic import PATTERN, dataset_folders, read_mosaic

    report = ImportReport()
    paths = sorted(source.rglob(PATTERN), reverse=True)
    datasets = dataset_folders(paths)
    with ExitStack() as held:
        if not dry_run:
            held.enter_context(hold_tree(layout.classifications))
        for path in paths:
            name = _printable(path.relative_to(source).as_posix())
            try:
                _import_results(read_mosaic(path, name, datasets), layout, report, dry_run)
            except StoreError as error:
                report.left[name] = str(error)
        if not dry_run:
            write_summary(layout.summary)
    return report


def _import_results(found: Sequence[MosaicResult], layout: Layout, report: ImportReport, dry_run: bool) -> None:
    """Place the results of one file and note them in the report. Raises StoreError where one has no place."""
    for converted in found:
        origin, settings = converted.result["imported_from"], converted.result["settings"]
        folder, name = _folder(settings, layout), origin["file"]
        if folder in report.imported:
            # Every file of a dataset repeats its baseline.
            if settings["source"] != "tfidf" or report.contents[folder] != origin["sha256"]:
                report.repeats[_named(name, settings["source"])] = report.imported[folder]
            continue
        settings["neuronpedia"] = _neuronpedia(settings)
        report.unchanged += _place(converted.result, folder, dry_run)
        report.imported[folder] = _named(name, settings["source"])
        report.contents[folder] = origin["sha256"]
        if converted.problems:
            report.problems[name] = converted.problems
        if settings["source"] != "tfidf":
            report.unused.setdefault(tuple(converted.unused), []).append(name)


def _named(file: str, source: str) -> str:
    """How the report names a result: by its file; a baseline stands in the file of another result."""
    return f"{file} (bow_baseline)" if source == "tfidf" else file


def _neuronpedia(settings: dict[str, Any]) -> str | None:
    """Neuronpedia's id of the SAE, as sae-lens' catalogue has it; None for other features and SAEs it does not know."""
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
    """The report as text, the most important last."""
    lines = [f"  {folder}  <-  {name}" for folder, name in sorted(report.imported.items())]
    lines += _unused_lines(report.unused)
    if report.problems:
        lines.append("could not be read, and is empty in the result:")
        lines += [f"  {name}: {problem}" for name, listed in sorted(report.problems.items()) for problem in listed]
    if report.repeats:
        lines.append("another run of the same setting was imported instead:")
        lines += [f"  {name}: {other}" for name, other in sorted(report.repeats.items())]
    if report.left:
        lines.append("not imported:")
        lines += [f"  {name}: {reason}" for name, reason in sorted(report.left.items())]
    done = "would be imported" if dry_run else "imported"
    lines.append(
        f"{_count(len(report.imported), 'result')} {done}"
        + (f" ({report.unchanged} there already)" if report.unchanged else "")
        + f", {_count(len(report.repeats), 'repeated run')} left out, {_count(len(report.left), 'file')} not imported"
    )
    return "\n".join(lines)


def _unused_lines(unused: dict[tuple[str, ...], list[str]]) -> list[str]:
    """The keys that every file has once, then those that only some have."""
    shared = set.intersection(*map(set, unused)) if unused else set()
    lines = ["no counterpart here, in every file:", f"  {', '.join(sorted(shared))}"] if shared else []
    for keys, names in unused.items():
        rest = [key for key in keys if key not in shared]
        if rest:
            shown = ", ".join(sorted(names)[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
            lines += [f"no counterpart here, in {_count(len(names), 'file')} ({shown}):", f"  {', '.join(rest)}"]
    return lines


def _place(result: dict[str, Any], folder: Path, dry_run: bool) -> bool:
    """Write a result to its folder, unless that is another's; True when it was there already.

    Raises StoreError, saying whose the folder is.
    """
    from saefari.errors import StoreError
    from saefari.store import read_result, write_json
    from saefari.store.layout import RESULTS

    if (folder / RESULTS).exists():
        there = read_result(folder)
        origin = there.get("imported_from")
        if origin is None or origin.get("sha256") != result["imported_from"]["sha256"]:
            whose = "a result of this program" if origin is None else "the import of another file"
            raise StoreError(f"{folder} holds {whose}; remove it to import this file")
        if there == result:
            return True
    elif folder.exists() and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise StoreError(f"{folder} holds files of an unfinished run; remove it to import this file")
    if not dry_run:
        if result["settings"]["source"] != "tfidf":  # a baseline is new, and may be the same in several settings
            _remove_renamed(result, folder)
        write_json(folder / RESULTS, result)
    return False


def _remove_renamed(result: dict[str, Any], folder: Path) -> None:
    """Remove the same file's result from a folder beside it: earlier versions had fewer settings in its name."""
    from saefari.store import iter_results
    from saefari.store.layout import RESULTS

    for other, there in iter_results(folder.parent):
        origin = there.get("imported_from")
        if other != folder and origin and origin.get("sha256") == result["imported_from"]["sha256"]:
            (other / RESULTS).unlink()


def _folder(settings: dict[str, Any], layout: Layout) -> Path:
    """Where a result belongs. Raises StoreError for a name that gives no folder."""
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


def _slug(what: str, name: str) -> str:
    """A name's folder, the same as that of our own runs for a hub id."""
    from saefari.data.slug import dataset_slug
    from saefari.errors import StoreError

    if all(part in ("..", PurePath(name).anchor) for part in PurePath(name).parts):
        raise StoreError(f"the {what} {name!r:.80} is no name")
    return dataset_slug(name)


def _printable(text: str) -> str:
    """A file's name as text that can be printed and stored."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
