"""Detect a text that gives the label away: an error before the run, or a caution beside its scores if intended."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from saefari.config import Config, DatasetSpec, ModelSpec, ModelType
from saefari.data.dataset import open_dataset
from saefari.errors import DataError, Problem
from saefari.models.registry import image_tokens_see_text
from saefari.pipeline.plan.plan import ModelPlan

CAUTION = "the text gives the class away"
_MODEL_SOURCES = ("sae", "random_sae", "hidden")
_SHARE_DETERMINED = 0.99
_ROWS_PER_TEXT = 5
_ROWS_BEFORE_GIVING_UP = 10_000


@dataclass(frozen=True)
class Determined:
    """Numbers of distinct texts, classes and rows of a dataset whose texts determine its labels."""

    n_texts: int
    n_classes: int
    n_rows: int


def caution(model: ModelPlan, spec: DatasetSpec, source: str) -> str:
    """Return the caution for the scores of a feature source; "" if its features do not contain the label."""
    if spec.text_field is None or not (spec.text_is_label or spec.text_field == spec.label_field):
        return ""
    sees = source == "tfidf" or (
        source in _MODEL_SOURCES and _sees_text(model.model_type, model.name, model.revision, model.positions, False)
    )
    return CAUTION if sees else ""


def check_prompts(config: Config, *, need_rows: bool, reach: bool) -> tuple[list[Problem], list[str]]:
    """Find datasets whose text equals or determines the label and is visible at positions that count.

    need_rows: also read the rows for vision-language models that see the text. reach: allow access to the hub.
    Returns problems, and notes on datasets that could not be checked (preparing them raises the same error).
    """
    problems: list[Problem] = []
    notes: list[str] = []
    for d, spec in enumerate(config.datasets):
        readers = [] if spec.text_field is None or spec.text_is_label else list(_readers(config, reach))
        prompted = [model for model in readers if config.model_type_of(model) == "vlm"]
        place, field = f"datasets[{d}].text_field", repr(spec.text_field)
        if readers and spec.text_field == spec.label_field:
            problems.append(
                Problem(place, f"{field} is label_field too, and {_explain_exposure(config, (prompted or readers)[0])}")
            )
        elif prompted and need_rows and spec.label_field is not None:
            try:
                found = determined(_texts_and_labels(spec))
            except DataError as error:
                notes.append(f"{place}: not checked whether {field} gives the label away: {error}")
                continue
            if found is not None:
                counts = f"{found.n_texts} texts, {found.n_classes} classes, {found.n_rows:,} rows"
                exposure = _explain_exposure(config, prompted[0])
                problems.append(Problem(place, f"each text of {field} has one class only ({counts}), and {exposure}"))
    return problems, notes


def determined(rows: Iterable[tuple[str, str]]) -> Determined | None:
    """Return whether few texts determine the label of (text, label) rows; None if they do not.

    Goodman and Kruskal's lambda (doi:10.2307/2281536) must be at least 0.99: guessing each text's most frequent label
    avoids 99% of the errors of guessing the most frequent label. Few: at most as many texts as classes, or 5 rows per
    text; if every row has its own text, lambda is 1 and uninformative.
    """
    labels: defaultdict[str, Counter[str]] = defaultdict(Counter)
    n_rows = 0
    for text, label in rows:
        labels[text.strip()][label] += 1
        n_rows += 1
        if n_rows >= _ROWS_BEFORE_GIVING_UP and 2 * len(labels) > n_rows:
            return None
    classes = sum(labels.values(), Counter[str]())
    if len(classes) < 2 or len(labels) > max(len(classes), n_rows // _ROWS_PER_TEXT):
        return None
    errors = n_rows - max(classes.values())
    errors_by_text = n_rows - sum(max(of_text.values()) for of_text in labels.values())
    if errors_by_text > (1 - _SHARE_DETERMINED) * errors:
        return None
    return Determined(len(labels), len(classes), n_rows)


def _texts_and_labels(spec: DatasetSpec) -> Iterator[tuple[str, str]]:
    """Yield text and label of each training row with a label, without reading images."""
    columns = spec.model_copy(update={"image_field": None, "id_field": None, "group_field": None})
    for example in open_dataset(columns, spec.split).rows():
        if example.label is not None:
            yield example.text or "", example.label


def _readers(config: Config, reach: bool) -> Iterator[ModelSpec]:
    """Yield the models with a position that counts and sees the text."""
    for model in config.models:
        if _sees_text(
            config.model_type_of(model), model.name, model.revision, config.positions_of(model), reach
        ) and not config.is_trained_here(model):
            yield model


def _sees_text(model_type: ModelType, name: str, revision: str | None, positions: str, reach: bool) -> bool:
    if model_type != "vlm":
        return model_type == "llm"
    return positions != "image" or image_tokens_see_text(name, revision, reach_hub=reach)


def _explain_exposure(config: Config, model: ModelSpec) -> str:
    """Return which model sees the text, the consequence, and what to do."""
    intended = "set text_is_label: true (flag --text-is-label) if this is intended"
    if config.model_type_of(model) == "llm":
        return (
            f"{model.name!r} reads it: classifiers would read the label from it. Set text_field to the column of the "
            f"texts, or {intended}"
        )
    positions = config.positions_of(model)
    who = f"the image tokens of {model.name!r} see" if positions == "image" else f"positions: {positions} sees"
    return (
        f"{who} the text in the prompt: classifiers would read the label from it. Remove text_field, which gives the "
        f"model an empty text, as MOSAIC does; or {intended}"
    )
