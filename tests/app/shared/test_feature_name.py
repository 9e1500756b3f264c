"""How a feature is written: name, number, sentence and score, also in figures and in tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.shared.data.latents.names import FeatureNames
from app.shared.data.saes import Sae
from app.shared.feature_name import FeatureName
from app.shared.parts.names import name_columns, name_fields, tick, tooltip_lines, written
from saefari.store import Explanation, StoredScore, write_json
from tests.app.rendered import text

GOOD = StoredScore(0.83, (0.8, 0.86), {"shuffled": 0.55, "random_sae": 0.51})
NAMED = FeatureName("latent", 12, "", Explanation(12, "the word <b>", "Fires on b.", "lexical", {"embedding": GOOD}))
UNSCORED = FeatureName("latent", 12, "", Explanation(12, "arrays", "Fires on arrays."))
DOUBTFUL = FeatureName(
    "latent", 12, "", Explanation(12, "arrays", "Fires on arrays.", "", {"embedding": replace(GOOD, value=0.55)})
)
UNNAMED, DIMENSION, TERM = FeatureName("latent", 12), FeatureName("dimension", 3), FeatureName("term", 3, "array")


@pytest.mark.parametrize(
    ("name", "title", "beside", "listed", "score"),
    [
        (NAMED, "the word <b>", "12", "the word <b> (12, embedding 0.83)", "embedding 0.83"),
        (UNSCORED, "arrays", "12", "arrays (12, not scored)", "not scored"),
        (
            DOUBTFUL,
            "arrays",
            "12",
            "arrays (12, embedding 0.55, not above its controls)",
            "embedding 0.55, not above its controls",
        ),
        (UNNAMED, "latent 12", "", "latent 12", ""),
        (DIMENSION, "dimension 3", "", "dimension 3", ""),
        (TERM, "array", "", "array", ""),
    ],
)
def test_a_name_stands_in_place_of_the_number_with_its_score(
    name: FeatureName, title: str, beside: str, listed: str, score: str
) -> None:
    assert (name.title, name.number_beside, name.listed, name.score) == (title, beside, listed, score)


def test_a_tooltip_has_number_sentence_score_and_controls() -> None:
    controls = "controls: shuffled explanations 0.55, random SAE 0.51"
    assert NAMED.tip == f"latent 12: Fires on b.\nembedding 0.83; {controls}"
    assert UNSCORED.tip == "latent 12: Fires on arrays.\nnot scored"
    assert UNNAMED.tip == ""


def test_a_name_not_above_its_controls_is_grey_and_says_so() -> None:
    assert "not above its controls" in text(written(DOUBTFUL))
    assert "doubtful" in text(written(DOUBTFUL))
    assert "doubtful" not in text(written(NAMED))
    assert "color:#7F7F7F" in tick(DOUBTFUL, 30)
    assert any("not above its controls" in line for line in tooltip_lines(DOUBTFUL))
    assert name_fields(DOUBTFUL)["doubtful"] is True


def test_a_short_text_keeps_the_number_and_markup_is_escaped() -> None:
    assert FeatureName("latent", 12, "", Explanation(12, "a" * 40, "")).short_text(12) == "aaaaaa… (12)"
    assert tick(NAMED, 30) == "the word &lt;b&gt; (12)"
    assert tooltip_lines(NAMED)[0] == "<b>the word &lt;b&gt; (12)</b>"


def test_tables_export_number_name_score_and_sentence() -> None:
    fields = [column["field"] for column in name_columns([NAMED, UNNAMED], "feature")]
    assert fields == ["name", "number", "score", "explanation"]
    assert [name_fields(NAMED)[field] for field in fields] == ["the word <b>", 12, "embedding 0.83", "Fires on b."]
    assert [column["field"] for column in name_columns([UNNAMED], "feature")] == ["name", "number"]
    assert [column["field"] for column in name_columns([TERM], "feature")] == ["name"]


def test_names_are_read_again_when_an_explanation_is_added(tmp_path: Path) -> None:
    sae = Sae("id", "m", 1, "3k", (), None, None, tmp_path / "explanations")
    assert FeatureNames("latent", sae).of(7).title == "latent 7"
    write_json(sae.explanations / "7.json", {"name": "cats", "explanation": "Fires on cats."})
    name = FeatureNames("latent", sae).of(7)
    assert (name.title, name.href) == ("cats", "/latent?sae=id&latent=7")
    write_json(sae.explanations / "8.json", {"explanation": "Fires on dogs."})
    assert FeatureNames("latent", sae).of_entry({"feature": 8, "threshold": 1}).title == "Fires on dogs."
