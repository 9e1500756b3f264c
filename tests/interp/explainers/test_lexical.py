"""What the lexical explainer says, kind by kind, and that it says something sensible about any text."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saefari.interp.explainers.lexical import LexicalExplainer
from saefari.interp.explainers.lexicon.background import Background
from saefari.interp.explainers.lexicon.leaning import leading_classes
from saefari.interp.records import Context, ExplanationError, LatentExamples
from tests.interp.explainers.planted import background, corpus, planted, tokens_of

Marked = Sequence[tuple[Sequence[str], Sequence[float]]]


def examples_of(
    contexts: Marked, class_rows: Mapping[str, tuple[int, int]] | None = None, **facts: float
) -> LatentExamples:
    built = tuple(
        Context("made", row, 0, tuple(tokens), np.asarray(values, dtype=np.float32))
        for row, (tokens, values) in enumerate(contexts)
    )
    return LatentExamples(3, built, (), np.zeros(0, np.int8), (), class_rows=class_rows or {}, **facts)  # type: ignore[arg-type]


def fires_on(texts: Sequence[str], *tokens: str) -> LatentExamples:
    """Return contexts in which a latent fires on every token whose stripped text is one of `tokens`."""
    rows = [tokens_of(text) for text in texts]
    return examples_of([(row, [float(token.strip() in tokens) for token in row]) for row in rows])


def describe(examples: LatentExamples, texts: Sequence[str] = ()) -> tuple[str, str]:
    rows = [(tokens_of(text), None) for text in texts]
    return LexicalExplainer(Background([*corpus()[:1000], *rows])).describe(examples)


def test_a_word_with_its_forms_and_class() -> None:
    latent = planted(lambda words, i: words[i] in ("feature", "features"), 1)
    lean = {"scikit-learn": (30, 1000), "numpy": (3, 1000), "scipy": (2, 1000)}
    latent = LatentExamples(**{**vars(latent), "class_rows": lean})
    name, sentence = LexicalExplainer(background()).describe(latent)
    assert name in ("the word feature", "the word features")
    assert sentence in (
        "The word *features*, also *feature*; mostly scikit-learn.",
        "The word *feature*, also *features*; mostly scikit-learn.",
    )


def test_explanations_are_the_same_every_time() -> None:
    latent = planted(lambda words, i: words[i].endswith("tion"), 5)
    explainer = LexicalExplainer(background())
    first = asyncio.run(explainer.explain(latent))
    reordered = LatentExamples(**{**vars(latent), "explain": latent.explain[::-1]})
    assert (
        first
        == asyncio.run(explainer.explain(latent))
        == asyncio.run(LexicalExplainer(Background(corpus())).explain(latent))
    )
    assert first == asyncio.run(explainer.explain(reordered))
    assert (first.explainer, first.model, first.version) == ("lexical", None, 1)


ANIMALS = ("cat", "dog", "owl", "fox", "hen", "ant", "bee", "cow", "elk", "pig")
CHINESE = [
    f"我们{verb}学习{noun}的方法"
    for verb in ("喜欢", "使用", "研究", "讨论", "需要")
    for noun in ("音乐", "数学", "语言", "历史")
]
EMOJI = [f"{word} was nice 🙂 thanks" for word in ANIMALS]


@pytest.mark.parametrize(
    ("texts", "tokens", "in_name"),
    [
        ([f"the {a} is red and the {a} is tall" for a in ANIMALS], ("is",), "is"),
        (EMOJI, ("🙂",), "🙂"),
        ([f'<a href="{n}">go</a> <b>x{n}</b>' for n in range(20)], ("<",), 'the character "<"'),
        ([f"it was {n} and {n + 7} then" for n in range(100, 130)], tuple(map(str, range(100, 140))), "numbers"),
        ([f"Всё это слово{n} привет и мир" for n in range(20)], ("привет",), "привет"),
    ],
)
def test_symbols_and_other_languages(texts: list[str], tokens: tuple[str, ...], in_name: str) -> None:
    name, sentence = describe(fires_on(texts, *tokens), texts)
    assert in_name in name
    assert sentence.endswith(".")


@pytest.mark.parametrize(("tokens", "name"), [(("(",), 'the character "("'), (("(", "["), "opening brackets")])
def test_symbols_of_real_texts(tokens: tuple[str, ...], name: str) -> None:
    texts = ["".join(row) for row, _ in corpus() if all(any(t.strip() == mark for t in row) for mark in tokens)][:40]
    assert describe(fires_on(texts, *tokens))[0] == name


def test_texts_without_spaces() -> None:
    rows = [list(text) for text in CHINESE]
    examples = examples_of([(row, [float(character == "习") for character in row]) for row in rows])
    name, _ = LexicalExplainer(Background([(row, None) for row in rows] + list(corpus()[:500]))).describe(examples)
    assert "习" in name


def test_the_first_word_of_a_text() -> None:
    rows = corpus()[:60]
    examples = examples_of([(row[:32], [1.0] + [0.0] * (len(row[:32]) - 1)) for row, _ in rows])
    name, sentence = LexicalExplainer(background()).describe(examples)
    assert name == "the first word of a text"
    assert sentence.startswith("The first word of a text")


def test_a_word_after_another() -> None:
    latent = planted(lambda words, i: i > 0 and words[i - 1] == "an", 2)
    name, sentence = LexicalExplainer(background()).describe(latent)
    assert '"an"' in name + sentence


def test_without_anything_in_common_it_says_so() -> None:
    generator = np.random.default_rng(0)
    contexts = []
    for row, _ in corpus()[:40]:
        values = np.zeros(len(row))
        values[generator.integers(len(row))] = 1.0
        contexts.append((row, values.tolist()))
    rows = {"numpy": (35, 1000), "pandas": (2, 1000), "scipy": (2, 1000)}
    name, sentence = LexicalExplainer(background()).describe(examples_of(contexts, rows))
    assert name.startswith("various, mostly in numpy: ")
    assert "mostly numpy" in sentence


def weighted(weights: Mapping[str, float], n: int) -> LatentExamples:
    """Return contexts of real texts in which a latent fires on some words, with given activations, n of each word."""
    contexts = []
    for word, activation in weights.items():
        rows = [row for row, _ in corpus() if any(token.strip() == word for token in row)][:n]
        contexts += [(row, [activation * (token.strip() == word) for token in row]) for row in rows]
    return examples_of(contexts)


def test_strong_activations_matter_more_than_weak_ones() -> None:
    name, sentence = LexicalExplainer(background()).describe(weighted({"matrix": 4.0, "of": 0.3}, 15))
    assert name == "the word matrix"
    assert sentence == "The word *matrix*."


def test_different_words_at_the_strongest_activations_are_not_hidden_behind_a_frequent_weak_one() -> None:
    strong = dict.fromkeys(["graph", "legend", "memory", "label", "index", "string", "seed", "query"], 3.0)
    latent = weighted(strong, 1)
    weak = weighted({"matrix": 1.6}, 40)
    name, sentence = LexicalExplainer(background()).describe(
        LatentExamples(**{**vars(latent), "explain": latent.explain + weak.explain})
    )
    assert name.startswith("various: ")
    assert name.endswith("and matrix")
    assert sentence.startswith("Various words, among them the word *matrix*; strongest on ")
    assert any(f"*{word}*" in sentence for word in strong)


def test_a_word_with_few_active_occurrences_says_how_few() -> None:
    latent = planted(lambda words, i: words[i] == "of", 4)
    count, places = background().count(("word", "of"))
    latent = LatentExamples(**{**vars(latent), "density": 0.1 * count / places})
    name, sentence = LexicalExplainer(background()).describe(latent)
    assert name == 'the word "of"'
    assert "at about 10% of its occurrences" in sentence or "at about 9% of its occurrences" in sentence


def test_no_active_context_is_a_failure() -> None:
    with pytest.raises(ExplanationError, match="latent 3 has no active contexts"):
        describe(examples_of([(["a", " b"], [0.0, 0.0])]))


@pytest.mark.parametrize(
    ("rows", "classes"),
    [
        ({"a": (90, 100), "b": (5, 100), "c": (5, 100)}, ["a"]),
        ({"a": (45, 100), "b": (44, 100), "c": (5, 100)}, ["a", "b"]),
        ({"a": (30, 100), "b": (30, 100), "c": (30, 100)}, []),
        ({"a": (90, 900), "b": (10, 100)}, []),  # a is only larger
        ({"a": (2, 100), "b": (0, 100), "c": (0, 100)}, []),  # too few
        ({"a": (100, 100)}, []),
        ({"a": (0, 0), "b": (0, 10)}, []),
        ({}, []),
    ],
)
def test_classes_it_leans_to(rows: dict[str, tuple[int, int]], classes: list[str]) -> None:
    assert leading_classes(rows) == classes


TEXTS = st.lists(st.lists(st.text(max_size=6), min_size=1, max_size=12), min_size=1, max_size=8)


@settings(deadline=None, max_examples=60)
@given(TEXTS, st.integers(0, 2**32 - 1))
def test_any_text_gets_a_printable_name_and_one_line(rows: list[list[str]], seed: int) -> None:
    generator = np.random.default_rng(seed)
    contexts = [(row, (generator.random(len(row)) * (generator.random(len(row)) < 0.5)).tolist()) for row in rows]
    contexts[0] = (rows[0], [1.0] * len(rows[0]))
    name, sentence = LexicalExplainer(Background((row, None) for row in rows)).describe(examples_of(contexts))
    for text in (name, sentence):
        assert text.strip()
        assert text.isprintable()
        text.encode()
    assert sentence.endswith(".")
