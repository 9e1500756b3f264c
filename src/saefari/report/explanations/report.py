"""Report on the explanations of a tree: table, figures and text."""

from __future__ import annotations

import os

from saefari.fingerprint import file_hashes
from saefari.report.build_record import current_record, report_fingerprint, write_record
from saefari.report.explanations.figures import draw_explanations
from saefari.report.explanations.tables import COLUMNS, iter_explained, latent_rows
from saefari.report.explanations.text import explanation_text
from saefari.report.results.summary import write_csv
from saefari.store import Layout, find_files
from saefari.store.explanations import SUMMARY_RECORD, SUMMARY_TABLE

TABLE = "explanations.csv"
RECORD = "explanations.json"
"""The report as text, with the record of its inputs."""


def write_explanation_report(layout: Layout) -> str:
    """Summarise all explanations of the tree; return the text for the end of a run, "" without explanations.

    Writes to `Layout.reports`: explanations.csv, one row per latent and scorer, and the figures. An unchanged report is
    not written again. Raises StoreError if a file cannot be written.
    """
    inputs = _inputs(layout)
    if (record := current_record(layout.reports / RECORD, inputs)) is not None:
        return str(record["text"])
    explained = [sae for sae in iter_explained(layout.explanations) if sae.latents]
    (layout.reports / RECORD).unlink(missing_ok=True)  # it vouches for all files, so it is written last
    if not explained:
        (layout.reports / TABLE).unlink(missing_ok=True)
        draw_explanations(layout.reports, [])  # removes those of earlier explanations
        return ""
    write_csv(layout.reports / TABLE, COLUMNS, latent_rows(explained))
    figures = draw_explanations(layout.reports, explained)
    text = explanation_text(layout, explained)
    write_record(layout.reports / RECORD, inputs, [layout.reports / TABLE, *figures], text=text)
    return text


def _inputs(layout: Layout) -> str:
    """Fingerprint of everything that the report reads."""
    paths = [path for name in (SUMMARY_RECORD, SUMMARY_TABLE) for path in layout.explanations.glob(f"*/*/*/{name}")]
    paths += [layout.summary, *(found.path for found in find_files(layout.classifications, "results.json"))]
    files = sorted(path for path in paths if path.is_file())
    names = [os.path.relpath(path, layout.reports) for path in files]
    return report_fingerprint(dict(zip(names, file_hashes(files), strict=True)))
