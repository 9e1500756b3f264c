"""Texts for figures: markup is escaped, quotes are not."""

from __future__ import annotations

from app.shared.labels import escape


def test_markup_is_escaped_and_quotes_stay() -> None:
    assert escape('"own" & <b>it\'s</b>') == '"own" &amp; &lt;b&gt;it\'s&lt;/b&gt;'
