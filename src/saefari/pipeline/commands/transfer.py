"""`saefari transfer`: evaluate classifiers of one run on the features of another, without fitting."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saefari.errors import StoreError
from saefari.pipeline.commands.flags import flag_error
from saefari.pipeline.commands.stored_run import StoredRun, find_run
from saefari.store import Layout, lock_tree, read_result

if TYPE_CHECKING:
    from saefari.classify.transfer import TransferJob
    from saefari.classify.transfer_rows import Rows
    from saefari.config.class_map import ClassMap


def run_transfer_command(flags: argparse.Namespace) -> int:
    """Run the command and print its results. Returns the exit code.

    Raises ConfigError for invalid flags, DataError if features or classes do not match, StoreError for missing files,
    ConflictError if the output folder holds a transfer with other settings.
    """
    from saefari.config.class_map import read_class_map

    train = find_run("--train", flags.train, flags.train_activations)
    test = find_run("--test", flags.test, flags.test_activations)
    class_map = None if flags.map is None else read_class_map(flags.map)
    layout = Layout.below(Path(flags.output_dir)) if flags.output_dir else test.layout
    job = plan_transfer(train, test, flags.rows, class_map, layout)
    print(_describe(job) if flags.dry_run else _run(job, layout, flags.overwrite))
    return 0


def plan_transfer(
    train: StoredRun, test: StoredRun, which: Rows, class_map: ClassMap | None, layout: Layout
) -> TransferJob:
    """Check that both runs match, and select the rows to test on; raises as `run_transfer_command`."""
    from saefari.classify.alignment import align_classes, check_spaces, feature_space
    from saefari.classify.transfer import TransferJob
    from saefari.classify.transfer_rows import labels_of, tested_rows, training_rows

    if not train.settings:
        raise flag_error("--train", "must name results: features alone have no classifiers")
    test = _as_texts(train, test)
    result = _checked_result(train)
    check_spaces(
        feature_space(train.source, train.samples[0], train.features),
        feature_space(test.source, test.samples[-1], test.features),
        train.place,
        test.place,
    )
    if which == "all" and len(test.places) > 1:
        raise flag_error(
            "--rows",
            "all: that run has two stored splits; give the features of one of them as --test: "
            + " or ".join(str(samples / (test.features or "")) for samples in test.samples),
        )
    class_of_label = align_classes(labels_of(test.samples), result["classes"], result["dropped_classes"], class_map)
    training = training_rows(train.samples, result["classes"])
    return TransferJob(
        source=train.source,
        probes=train.settings,
        trained_on=train.place,
        tested_on=test.place,
        labels={**test.labels, "source": train.source},
        samples=test.samples[-1],
        sample_place=test.places[-1],
        features=test.features,
        inputs=replace(test, places=test.places[-1:]).inputs(),
        which=which,
        class_of_label=class_of_label,
        tested=tested_rows(test.samples[-1], which, class_of_label, result["classes"], training),
        training=training,
        out=layout.classifications / test.base / "transfer" / train.base / (test.features or test.source),
    )


def _as_texts(train: StoredRun, test: StoredRun) -> StoredRun:
    """Give a run that was found by its samples the source of a training run without features (texts, majority)."""
    named_by_samples = not test.settings and test.features is None
    return replace(test, source=train.source) if named_by_samples and train.features is None else test


def _checked_result(train: StoredRun) -> dict[str, Any]:
    """Return the first result of the training run, after checking that all were made from the stored data."""
    results = [read_result(folder) for folder in train.settings]
    inputs = train.inputs()
    for folder, result in zip(train.settings, results, strict=True):
        if result["settings"].get("inputs") != inputs or result["classes"] != results[0]["classes"]:
            raise StoreError(
                f"{folder} was made from other rows or features than are now in {train.samples[0]}, so its training "
                "rows are unknown: run `python run_experiments.py` again"
            )
    return results[0]


def _run(job: TransferJob, layout: Layout, overwrite: bool) -> str:
    from saefari.classify.transfer import run_transfer
    from saefari.report.results.summary import write_summary
    from saefari.report.results.transfer import transfer_rows, transfer_table, write_transfers

    with lock_tree(layout.classifications):
        done = run_transfer(job, overwrite)
        write_summary(layout.summary)
        table = write_transfers(layout)
    lines = [transfer_table([row for one in done for row in transfer_rows(one.result)]), ""]
    reused = sum(one.reused for one in done)
    if reused:
        lines.append(f"{reused} settings reused from an earlier run.")
    lines += [f"warning: {warning}" for warning in done[0].result["warnings"]]
    lines += [f"Results      : {job.out}", f"All results  : {layout.summary}", f"All transfers: {table}"]
    return "\n".join(lines)


def _describe(job: TransferJob) -> str:
    left_out = {"training rows": job.tested.trained_on, "mapped to null": job.tested.unmapped}
    renamed = [f"  {label!r} -> {name!r}" for label, name in job.class_of_label.items() if label != name]
    return "\n".join(
        [
            "Features and classes match. Planned work:",
            f"{len(job.probes)} settings, trained on {job.trained_on}, tested on {job.tested_on}",
            f"{len(job.tested.row)} {'test ' if job.which == 'test' else ''}rows; left out: "
            + ", ".join(f"{n} {why}" for why, n in left_out.items()),
            *renamed,
            f"results in {job.out}",
        ]
    )
