"""One result: a classifier of one setting, its scores, its features, its predictions and its figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from saefari.api.codes import Codes, read_codes
from saefari.api.features import explained_latents, feature_table
from saefari.api.predictions import predict, prediction_table
from saefari.errors import StoreError
from saefari.store import Layout, read_predictions, read_sample_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_METRICS = (
    "macro_f1", "macro_f1_low", "macro_f1_high", "macro_precision", "macro_recall", "accuracy", "roc_auc",
    "cv_macro_f1", "cv_accuracy",
)  # fmt: skip
_WITH_CODES = ("sae", "random_sae")


@dataclass(frozen=True)
class Result:
    """A classifier of one setting, as a run stored it; `Tree.best` and `Tree.result` give it.

    folder: the setting's folder. classifier: `linear`, `tree` or `majority`.
    record: the content of results.json, which holds everything that was measured and every setting.
    """

    layout: Layout = field(repr=False)
    folder: Path
    classifier: str
    record: dict[str, Any] = field(repr=False)

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of the columns of probabilities."""
        return list(self.record["classes"])

    @property
    def settings(self) -> dict[str, Any]:
        """What was classified and how: model, dataset, split, layer, width, source, pooling, top_n, seed …"""
        return dict(self.record["settings"])

    @property
    def metrics(self) -> dict[str, float | None]:
        """Scores on the test rows (`macro_f1_low`, `_high`: its 95% interval) and, named `cv_…`, by cross-validation.

        All are fractions from 0 to 1; None where a score is not known (imported results).
        """
        row = next(row for row in self.record["summary"] if row["classifier"] == self.classifier)
        return {name: row.get(name) for name in _METRICS}

    def predictions(self) -> pd.DataFrame:
        """Return the stored predictions for the test rows, indexed by `row`, its number in the dataset.

        Columns: id, label (the true class), predicted, and for each class `probability:<class>` (float32).
        Raises StoreError where none are stored (imported results).
        """
        stored = read_predictions(self.folder, self.classifier)
        index = pd.Index(stored.rows, name="row")
        truth = pd.DataFrame({"id": stored.ids, "label": stored.labels}, index=index)
        return truth.join(prediction_table(stored.classes, stored.predicted, stored.probabilities, index))

    def texts(self, rows: Sequence[int]) -> pd.Series[str]:
        """Return the texts of dataset rows, indexed by `row`; None where a row has only an image.

        Raises StoreError where the rows are not stored.

        Example: `result.texts(result.predictions().query("label != predicted").index)`.
        """
        listed = list(rows)
        found = read_sample_rows(self._samples, listed, ["text"])["text"].to_pylist() if listed else []
        return pd.Series(found, index=pd.Index(listed, name="row"), name="text", dtype=object)

    def predict(
        self,
        texts: Sequence[str] | None = None,
        *,
        images: Sequence[str | Path] | None = None,
        model: str | None = None,
    ) -> pd.DataFrame:
        """Classify new texts, or images, exactly as the run classified its test rows, through its model and SAE.

        texts: of a pandas Series the index is kept. images: files, for results of images; with `texts` beside them
        where the model reads both. The model and SAE are loaded on first use and kept; each item takes one forward
        pass, so this suits some dozens.
        model: where the model is, needed only if it was read from a folder, which no stored file names.
        Returns one row per item: predicted, and for each class `probability:<class>` (float64).
        Raises SaefariError where the estimator, model or SAE is missing or not the recorded one, for a random control
        (its weights are not stored), or for an image that cannot be read; TypeError for a single string.

        Example: `result.predict(["Return the eigenvalues of a matrix."])`.
        """
        return predict(self.layout, self.folder, self.classifier, self.classes, texts, images, model)

    def top_features(self, n: int = 10) -> pd.DataFrame:
        """Return the features that weigh most; at most 20 are stored per class (linear) or in all (tree).

        Linear probe: the n largest weights by size of each class: class, feature, name, weight. A weight above 0
        speaks for the class; it is per standard deviation of the feature where features were scaled (all but TF-IDF).
        Tree: the n most important: feature, name, importance (impurity reduction, as in scikit-learn).
        feature: the latent, hidden dimension or term, as numbered in the source. name: of a term; else "".
        Raises StoreError where none are stored (majority class).
        """
        top = self.record["classifiers"][self.classifier].get("top_features")
        if not top:
            raise StoreError(f"{self.folder}: the classifier {self.classifier!r} reads no features; choose another one")
        return feature_table(top, n)

    def top_latents(self, n: int = 10) -> pd.DataFrame:
        """Return `top_features` of a result that reads an SAE: class, latent, weight (or importance), explanation.

        explanation: the stored one of the latent; "" where there is none.
        Raises StoreError where the result reads no SAE; see `top_features`.

        Example: `result.top_latents(10)`.
        """
        self._check_codes("top_features(n) lists what it reads")
        model, settings = self.folder.relative_to(self.layout.classifications).parts[0], self.settings
        explanations = self.layout.explanations / model / f"layer_{settings['layer']}" / str(settings["width"])
        return explained_latents(self.top_features(n), explanations)

    def codes(self, rows: Sequence[int] | None = None) -> Codes:
        """Read the codes that this result was made from, of rows of the split that holds its test rows.

        rows: their numbers in the dataset, in any order; None = all rows of the split, as far as memory allows.
        Raises StoreError where the result reads no SAE, or the rows are not stored.

        Example: `result.codes(result.predictions().index[:5])`.
        """
        self._check_codes("only results of source 'sae' or 'random_sae' have codes")
        return read_codes(self._samples / str(self.record["features"]), None if rows is None else list(rows))

    def plot(self, what: str = "confusion") -> Figure:
        """Draw a figure: `confusion`, `roc`, `top_features` or, for a tree, `structure`.

        Returns a matplotlib figure; a notebook shows it, and `figure.savefig("name.png")` writes it.
        Raises StoreError where the result holds no such figure.

        Example: `result.plot("top_features")`.
        """
        from saefari.api.figure import draw

        return draw(self.record, self.classifier, what, self.folder)

    @property
    def _samples(self) -> Path:
        """The stored split that holds the test rows."""
        places = self.record.get("samples")
        if not places:
            raise StoreError(
                f"{self.folder} does not say which rows it was made from (it was imported, or an older version wrote "
                "it): `python run_experiments.py --classify-only` makes those of a run again"
            )
        return self.layout.activations / str(places[-1])

    def _check_codes(self, way_out: str) -> None:
        """Raise StoreError unless the result reads codes of an SAE."""
        source = self.settings["source"]
        if source not in _WITH_CODES:
            raise StoreError(f"{self.folder} was made from source {source!r}, which has no latents; {way_out}")
