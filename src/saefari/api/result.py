"""One result: a classifier of one setting, with its scores, features, predictions and figures."""

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
    """A stored classifier of one setting; returned by `Tree.best` and `Tree.result`.

    folder: the setting's folder. classifier: `linear`, `tree` or `majority`.
    record: the content of results.json: all scores and settings.
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
        """Settings of the result: model, dataset, split, layer, width, source, pooling, top_n, seed …"""
        return dict(self.record["settings"])

    @property
    def metrics(self) -> dict[str, float | None]:
        """Scores on the test rows (`macro_f1_low`, `_high`: its 95% interval) and, named `cv_…`, by cross-validation.

        All are fractions from 0 to 1; None if unknown (imported results).
        """
        row = next(row for row in self.record["summary"] if row["classifier"] == self.classifier)
        return {name: row.get(name) for name in _METRICS}

    def predictions(self) -> pd.DataFrame:
        """Return the stored predictions for the test rows, indexed by `row`, its number in the dataset.

        Columns: id, label (the true class), predicted, and for each class `probability:<class>` (float32).
        Raises StoreError if none are stored (imported results).
        """
        stored = read_predictions(self.folder, self.classifier)
        index = pd.Index(stored.rows, name="row")
        truth = pd.DataFrame({"id": stored.ids, "label": stored.labels}, index=index)
        return truth.join(prediction_table(stored.classes, stored.predicted, stored.probabilities, index))

    def texts(self, rows: Sequence[int]) -> pd.Series[str]:
        """Return the texts of dataset rows, indexed by `row`; None for a row that has only an image.

        Raises StoreError if the rows are not stored.

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

        texts: the index of a pandas Series is kept. images: files, for results on images; with `texts` of equal length
        if the model reads both. The model and SAE are loaded on first use and kept. Each item takes one forward pass,
        so use this for dozens of items.
        model: path of the model, needed only for a model from a local folder, because stored files hold no paths.
        Returns one row per item: predicted, and for each class `probability:<class>` (float64).
        Raises SaefariError if the estimator, model or SAE is missing or differs from the recorded one, for a random
        control (its weights are not stored), or for an image that cannot be read; TypeError for a single string.

        Example: `result.predict(["Return the eigenvalues of a matrix."])`.
        """
        return predict(self.layout, self.folder, self.classifier, self.classes, texts, images, model)

    def top_features(self, n: int = 10) -> pd.DataFrame:
        """Return the most important features; at most 20 are stored per class (linear) or in total (tree).

        Linear probe: the n weights of largest magnitude per class: class, feature, name, weight. A positive weight
        is evidence for the class; it is per standard deviation of the feature if features were scaled (all but TF-IDF).
        Tree: the n most important: feature, name, importance (impurity reduction, as in scikit-learn).
        feature: index of the latent, hidden dimension or term in the source. name: the term; else "".
        Raises StoreError if none are stored (majority class).
        """
        top = self.record["classifiers"][self.classifier].get("top_features")
        if not top:
            raise StoreError(f"{self.folder}: the classifier {self.classifier!r} reads no features; choose another one")
        return feature_table(top, n)

    def top_latents(self, n: int = 10) -> pd.DataFrame:
        """Return `top_features` of a result on SAE features, with the latents' names.

        Columns: class, latent, name, weight (or importance), score, explanation. name, explanation: "" for a latent
        that was not explained. score: the first score of its explanation; NaN if there is none.
        Raises StoreError for a result without SAE features; see `top_features`.

        Example: `result.top_latents(10)`.
        """
        self._check_codes("top_features(n) lists what it reads")
        model, settings = self.folder.relative_to(self.layout.classifications).parts[0], self.settings
        explanations = self.layout.explanation(model, settings["layer"], str(settings["width"]))
        return explained_latents(self.top_features(n), explanations)

    def codes(self, rows: Sequence[int] | None = None) -> Codes:
        """Read the codes from which this result was computed, for rows of the split that contains its test rows.

        rows: their numbers in the dataset, in any order; None = all rows of the split, as far as memory allows.
        Raises StoreError for a result without SAE features, or if the rows are not stored.

        Example: `result.codes(result.predictions().index[:5])`.
        """
        self._check_codes("only results of source 'sae' or 'random_sae' have codes")
        return read_codes(self._samples / str(self.record["features"]), None if rows is None else list(rows))

    def plot(self, what: str = "confusion") -> Figure:
        """Draw a figure: `confusion`, `roc`, `top_features` or, for a tree, `structure`.

        Returns a matplotlib figure; a notebook shows it, and `figure.savefig("name.png")` writes it.
        Raises StoreError if the result has no such figure.

        Example: `result.plot("top_features")`.
        """
        from saefari.api.figure import draw

        return draw(self.record, self.classifier, what, self.folder)

    @property
    def _samples(self) -> Path:
        """Folder of the stored split that contains the test rows."""
        places = self.record.get("samples")
        if not places:
            raise StoreError(
                f"{self.folder}: the rows of this result are not recorded (imported, or written by an older version); "
                "`python run_experiments.py --classify-only` computes the results of a run again"
            )
        return self.layout.activations / str(places[-1])

    def _check_codes(self, way_out: str) -> None:
        """Raise StoreError unless the result reads codes of an SAE."""
        source = self.settings["source"]
        if source not in _WITH_CODES:
            raise StoreError(f"{self.folder}: source {source!r} has no latents; {way_out}")
