"""An output tree: table of results, single results, stored codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from saefari.api.codes import Codes, read_codes
from saefari.api.features import explanation_table
from saefari.api.result import Result
from saefari.data.slug import dataset_slug
from saefari.errors import StoreError, enumerated, nearest, shown
from saefari.names import HIDDEN, folder_name
from saefari.report.results.summary import COLUMNS
from saefari.store import TASK, Layout, read_result, read_summary, task_names

Value = str | int | float | None
"""Type of a cell in the table of results; None = empty."""


@dataclass(frozen=True)
class Tree:
    """The output tree of one or more runs.

    output: folder with `activations` and `classifications`.
    """

    output: Path

    @property
    def layout(self) -> Layout:
        """The paths of the tree."""
        return Layout.below(self.output)

    def results(self, **where: Value) -> pd.DataFrame:
        """Return the results as a table, one row per setting and classifier, in the order of `summary.csv`.

        where: column=value keeps only the rows with that value; None keeps rows with an empty cell. All conditions must
        hold. Empty text cells are "", empty numbers are NaN. `folder` and `classifier` identify a row.
        Raises StoreError if no run has written results yet, for an unknown column, or if no row is left.

        Example: `tree.results(dataset="python-docs", source="sae", classifier="linear")`.
        """
        path = self.layout.summary
        if not path.exists():
            raise StoreError(f"{path} does not exist: run `python run_experiments.py`, which writes it at its end")
        return _select(read_summary(path)[list(COLUMNS)], where)

    def best(self, **where: Value) -> Result:
        """Return the result with the highest cross-validated macro-F1; of equal ones, the first in the table.

        The test score is never used: the best of many test scores is optimistic. Results without cross-validation
        (imported or transferred ones) are not considered.
        where: as for `results`. Raises StoreError as `results` does, and also if no row is cross-validated or the rows
        belong to different dataset splits, whose scores are not comparable.

        Example: `tree.best(dataset="python-docs", source="sae")`.
        """
        table = self.results(**where)
        table = table[table["cv_macro_f1"].notna()]
        if table.empty:
            raise StoreError(
                f"{self.layout.summary}: no matching result is cross-validated (imported and transferred ones are "
                "not); choose one with result(folder, classifier)"
            )
        tasks = sorted(set(task_names(table[list(TASK)].itertuples(index=False, name=None))))
        if len(tasks) > 1:
            raise StoreError(
                f"{self.layout.summary}: results of {len(tasks)} dataset splits match, whose scores are not "
                f"comparable ({enumerated(tasks)}); add {', '.join(f'{name}=' for name in TASK)} to choose one"
            )
        row = table.loc[table["cv_macro_f1"].idxmax()]
        return self._open(row["folder"], row["classifier"])

    def result(self, folder: str, classifier: str = "linear") -> Result:
        """Return one result of the table.

        folder, classifier: as in the columns of these names. Raises StoreError if the table has no such row or
        the files are missing.

        Example: `row = tree.results().iloc[0]; tree.result(row.folder, row.classifier)`.
        """
        self.results(folder=folder, classifier=classifier)
        return self._open(folder, classifier)

    def codes(
        self,
        model: str,
        dataset: str,
        layer: int,
        width: str,
        *,
        split: str = "train",
        config: str | None = None,
        rows: Sequence[int] | None = None,
    ) -> Codes:
        """Read the codes of one SAE on a dataset split, with or without results.

        model, dataset, config: as in the table of results or the names of their folders. split: the folder's name,
        such as `train`, or `train--text_fr` if a run read several columns of one split.
        rows: numbers of the rows in the dataset, in any order; None = all. Only their shards are read; hashes are not
        checked. All rows of a large split may not fit in memory; see `saefari.store.iter_codes`.
        Raises StoreError if the tree does not contain these codes or rows.

        Example: `tree.codes("sentence-transformers/all-MiniLM-L6-v2", "python-docs", 3, "3k", rows=[0, 1])`.
        """
        folder = self.layout.activations
        names = {
            "model": folder_name(model.split("/"), "model"),
            "dataset": dataset_slug(dataset),
            "config": config,
            "split": split,
            "layer": f"layer_{layer}",
            "width": width,
        }
        for level, name in names.items():
            if name is not None:
                folder = _subfolder(folder, level, str(name))
        return read_codes(folder, rows)

    def explanations(self, model: str, layer: int, width: str) -> pd.DataFrame:
        """Return the explanations of an SAE's latents, one row per latent that has one.

        Columns: latent, name, explanation (a sentence), explainer and, for each scorer, `score:<scorer>`.
        model: as in the table of results or the name of its folder. Raises StoreError if the tree contains none.

        Example: `tree.explanations("sentence-transformers/all-MiniLM-L6-v2", 3, "3k")`.
        """
        folder = self.layout.explanation(folder_name(model.split("/"), "model"), layer, width)
        table = explanation_table(folder)
        if table.empty:
            raise StoreError(f"{folder} holds no explanations: run `saefari explain --config FILE`")
        return table

    def _open(self, folder: str, classifier: str) -> Result:
        place = self.layout.classifications / folder
        return Result(self.layout, place, classifier, read_result(place))


def open_tree(output: str | Path = "output") -> Tree:
    """Open the output tree of a run; takes the same folder as the dashboard's `--output-dir`.

    output: folder with `activations` and `classifications`. Files are read on demand; nothing is written.
    Raises StoreError if the folder is not an output tree.

    Example: `saefari.open_tree("output").results()`.
    """
    tree = Tree(Path(output).expanduser().absolute())
    layout = tree.layout
    if not layout.activations.is_dir() and not layout.classifications.is_dir():
        raise StoreError(
            f"{tree.output} is not an output tree: it has neither {layout.activations.name} nor "
            f"{layout.classifications.name}; give the folder that contains them, or run "
            "`python run_experiments.py` first"
        )
    return tree


def _select(table: pd.DataFrame, where: Mapping[str, Value]) -> pd.DataFrame:
    """Keep the rows with these values. Raises StoreError for an unknown column or if no row is left."""
    applied: list[str] = []
    for column, value in where.items():
        if column not in table:
            raise StoreError(
                f"the table of results has no column {column!r}{nearest(column, list(table))}; "
                f"columns: {enumerated(list(table), most=len(table.columns))}"
            )
        cells = [None if pd.isna(cell) or cell == "" else cell for cell in table[column]]
        table = table[[cell == value or str(cell) == str(value) for cell in cells]]  # accept width=64 and layer="3"
        applied.append(f"{column}={shown(value)}")
        if table.empty:
            found = list(dict.fromkeys(str(cell) for cell in cells if cell is not None))
            raise StoreError(
                f"no result has {', '.join(applied)}{nearest(str(value), found)}; "
                f"values of {column}{' among the other matches' if applied[1:] else ''}: {enumerated(found) or 'none'}"
            )
    return table


def _subfolder(folder: Path, level: str, name: str) -> Path:
    """Return the subfolder of that name. Raises StoreError if it does not exist."""
    found = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    found = [one for one in found if one != HIDDEN and not one.startswith(".")]
    if name not in found:
        raise StoreError(
            f"{folder}: {level} {shown(name)} does not exist{nearest(name, found)}; "
            f"found: {enumerated(found) or 'none'}"
        )
    return folder / name
