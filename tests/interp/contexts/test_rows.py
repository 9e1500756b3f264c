"""Rows as token texts, and image rows as positions with their image."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saefari.config.explanation import Sampling
from saefari.errors import StoreError
from saefari.interp.cache.build import CacheSource, build_cache
from saefari.interp.contexts import rows as rows_module
from saefari.interp.contexts.examples import ExampleSampler
from saefari.interp.contexts.rows import TokenRows, _token_bounds
from saefari.models.tokenizer import TextTokenizer, Tokens
from saefari.store import SamplesWriter
from tests.interp.stored_split import random_codes, write_split_with_codes
from tests.store.image_tree import ImageRow, write_images

TEXTS = ["The naïve  cat, sat.", " leading space", "日本語 text", "emoji 🙂🙃 here", "", "\t\n", "a" * 30, "x\u200by z"]


def write_texts(folder: Path, texts: list[str], tokenizer: TextTokenizer) -> TokenRows:
    with SamplesWriter(folder, {}) as writer:
        for row, (text, tokens) in enumerate(zip(texts, tokenizer.tokenize(texts, 128), strict=True)):
            writer.write(sample(row, text, tokens))
    return TokenRows(folder)


def sample(row: int, text: str, tokens: Tokens) -> dict[str, Any]:
    return (
        {"row": row, "id": str(row), "text": text, "label": None, "group": None, "n_tokens": tokens.length}
        | {"input_ids": tokens.input_ids, "valid": tokens.valid}
        | {"span_start": tokens.spans[:, 0], "span_end": tokens.spans[:, 1]}
    )


@pytest.fixture(scope="module")
def byte_level(tmp_path_factory: pytest.TempPathFactory) -> TextTokenizer:
    """Tokenizer whose tokens are bytes, several of them per character."""
    from tests.tiny_vision import tokenizer

    return TextTokenizer(tokenizer(), 512)


@pytest.mark.parametrize("kind", ["wordpiece", "byte-level"])
def test_joined_tokens_give_the_text(kind: str, tmp_path: Path, byte_level: TextTokenizer) -> None:
    wordpiece = "sentence-transformers/all-MiniLM-L6-v2"
    tokenizer = byte_level if kind == "byte-level" else TextTokenizer.load(wordpiece)
    rows = write_texts(tmp_path, TEXTS, tokenizer)
    for text, tokens, found in zip(TEXTS, tokenizer.tokenize(TEXTS, 128), rows, strict=True):
        spans = tokens.spans
        assert len(found.tokens) == len(tokens.valid)
        expected = text[spans[0, 0] : spans[:, 1].max()] if len(spans) else ""
        assert "".join(found.tokens) == expected
        for (start, end), token in zip(spans.tolist(), found.tokens, strict=True):
            assert token == "" or token.endswith(text[start:end])


def test_a_class_token_stands_for_the_whole_text(tmp_path: Path) -> None:
    tokenizer = TextTokenizer.load("sentence-transformers/all-MiniLM-L6-v2")
    texts = ["the cat sat", "a dog"]
    with SamplesWriter(tmp_path, {}) as writer:
        for row, (text, tokens) in enumerate(zip(texts, tokenizer.tokenize(texts, 128, positions="cls"), strict=True)):
            writer.write(sample(row, text, tokens))
    assert [row.tokens for row in TokenRows(tmp_path)] == [("the cat sat",), ("a dog",)]


SPANS = st.lists(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)).map(sorted), max_size=6), max_size=5)


@given(SPANS)
def test_overlapping_spans_repeat_no_character(rows: list[list[list[int]]]) -> None:
    text, offsets = "abcdefghij", np.cumsum([0, *map(len, rows)])
    spans = np.asarray([span for row in rows for span in row], dtype=np.int32).reshape(-1, 2)
    begins, ends = _token_bounds(spans[:, 0], spans[:, 1], offsets)
    for first, last, row in zip(offsets, offsets[1:], rows, strict=False):
        joined = "".join(text[a:b] for a, b in zip(begins[first:last], ends[first:last], strict=True))
        assert joined == (text[row[0][0] : max(end for _, end in row)] if row else "")


@given(st.data())
def test_a_window_is_a_part_of_its_row(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    rows = _random_rows(tmp_path_factory)
    every = {row.row: row for row in rows}
    number = data.draw(st.sampled_from(sorted(every)))
    whole = every[number].tokens
    start, stop = data.draw(st.integers(0, len(whole))), data.draw(st.integers(0, len(whole)))
    assert rows.tokens(number, start, stop) == whole[start:stop]
    assert rows.label(number) == every[number].label


_CACHED: list[TokenRows] = []


def _random_rows(factory: pytest.TempPathFactory) -> TokenRows:
    if not _CACHED:
        folder = factory.mktemp("rows") / "a"
        codes = random_codes(40, 3)
        write_split_with_codes(folder, codes, [["ant", "bee", None][i % 3] for i in range(40)])
        _CACHED.append(TokenRows(folder))
    return _CACHED[0]


def test_few_shards_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_split_with_codes(tmp_path / "a", random_codes(70, 3))
    rows = TokenRows(tmp_path / "a")
    with patch.object(rows_module, "iter_samples", wraps=rows_module.iter_samples) as read:
        for _ in range(3):
            assert [rows.tokens(100 + 3 * i) for i in range(70)] == [row.tokens for row in TokenRows(tmp_path / "a")]
    assert read.call_count == 1 + 10 + 3  # sizes of the shards, each of the ten shards once, and three times all rows
    monkeypatch.setattr(rows_module, "_MAX_CACHED_BYTES", 1)
    rows = TokenRows(tmp_path / "a")
    for number in (100, 103, 100 + 3 * 69, 100):
        rows.tokens(number)
        assert len(rows._shards._values) == 1


def test_missing_rows_are_errors(tmp_path: Path) -> None:
    write_split_with_codes(tmp_path / "a", random_codes(3, 3))
    with pytest.raises(StoreError, match="has no row 101"):
        TokenRows(tmp_path / "a").tokens(101)
    with pytest.raises(StoreError, match="does not exist"):
        TokenRows(tmp_path / "b")


GRID = (2, 3)


@pytest.fixture
def images(tmp_path: Path) -> CacheSource:
    """Images of a class token and six patches; image i has latent 1 at patch i % 6, latent 2 at the class token."""
    rows = []
    for i in range(24):
        activations = np.zeros((7, 3), dtype=np.float32)
        activations[1 + i % 6, 1] = 1 + i if i % 2 else 0
        activations[0, 2] = 1
        pixels = np.full((4, 6, 3), i, dtype=np.uint8)
        rows.append(ImageRow(activations, [-1, *range(6)], label="ab"[i % 2], pixels=pixels, part=i % 12 == 11))
    folder = write_images(tmp_path, rows, GRID, shard_rows=5)
    return CacheSource("shapes", folder.parents[1], folder)


def test_image_rows_are_patches_with_their_image(tmp_path: Path, images: CacheSource) -> None:
    cache, rows = build_cache(tmp_path / "cache", [images]), TokenRows(images.samples)
    assert rows.has_images
    assert rows.tokens(100) == ("cls", *(f"patch row {r}, column {c}" for r in range(2) for c in range(3)))
    sampling = Sampling(window=2, explain=4, test=5, inactive=6)
    examples = ExampleSampler(cache, sampling, 0, {"shapes": rows}).examples(1)
    assert (len(examples.explain), len(examples.test), len(examples.inactive)) == (4, 5, 6)
    for context in (*examples.explain, *examples.test):
        number = (context.row - 100) // 10
        assert context.tokens == rows.tokens(context.row)  # the whole image, whatever the window
        assert context.tokens[context.centre] == f"patch row {number % 6 // 3}, column {number % 3}"
        assert context.peak == 1 + number
    for context in (*examples.test, *examples.inactive, *examples.explain_inactive):
        assert context.image is not None
        assert context.image.grid == GRID
        assert context.image.patches.tolist() == [-1, *range(6)]
        assert _first_pixel(context.image.png) == (context.row - 100) // 10
    assert not any(context.activations.any() for context in examples.inactive)
    assert examples.class_rows == {"a": (0, 12), "b": (10, 10)}


def test_images_are_read_once(tmp_path: Path, images: CacheSource) -> None:
    rows = TokenRows(images.samples)
    with patch.object(rows_module, "read_views", wraps=rows_module.read_views) as read:
        first = rows.images([100, 120, 100])
        again = rows.images([120, 130])
    assert [list(call.args[1]) for call in read.call_args_list] == [[100, 120], [130]]
    assert (sorted(first), sorted(again)) == ([100, 120], [120, 130])


def _first_pixel(png: bytes) -> int:
    from io import BytesIO

    from PIL import Image

    return int(np.asarray(Image.open(BytesIO(png)).convert("RGB"))[0, 0, 0])
