"""Classes that a latent leans to, and where around its words it is active."""

from __future__ import annotations

from collections.abc import Mapping

from saefari.interp.explainers.lexicon.evidence import Evidence, Found
from saefari.interp.explainers.lexicon.log_odds import log_odds

_MIN_Z = 3.0
_MOSTLY = 0.5
"""Share of one class, after classes are made equally large."""
_TOGETHER = 0.7
"""Share of two classes together."""
_LEAST_ROWS = 5
_LIFT = 2.0
"""How much more frequent a neighbour must be than beside the same word elsewhere."""


def leading_classes(class_rows: Mapping[str, tuple[int, int]]) -> list[str]:
    """Return the one or two classes in which most active rows are; none if it is active in all.

    class_rows: class -> (rows in which the latent is active, rows of the class).
    """
    rates = {name: active / rows for name, (active, rows) in class_rows.items() if rows > 0}
    total = sum(rates.values())
    n_active = sum(active for active, _ in class_rows.values())
    if len(rates) < 2 or total == 0 or n_active < _LEAST_ROWS:
        return []
    ordered = sorted(rates, key=lambda name: (-rates[name], name))
    for n, least in ((1, _MOSTLY), (2, _TOGETHER)):
        names = ordered[:n]
        if n < len(rates) and sum(rates[name] for name in names) >= least * total:
            active, rows = (sum(class_rows[name][i] for name in names) for i in (0, 1))
            all_rows = sum(rows for _, rows in class_rows.values())
            if log_odds(active, n_active, rows, all_rows)[1] >= _MIN_Z:
                return names
    return []


def neighbour(evidence: Evidence, found: Found) -> tuple[str, str] | None:
    """Return ("after" or "before", word) if the events of a word share a neighbour that the word rarely has elsewhere.

    For terms that are not one word, the neighbour is compared with its frequency in the corpus.
    """
    best: tuple[float, str, str] | None = None
    n = len({evidence.events[event].context for event in found.events})
    for term in sorted({term for event in found.events for term in evidence.events[event].terms}):
        if term[0] not in ("after", "before"):
            continue
        events = found.events.intersection(evidence.index[term])
        share = evidence.covered(events) / found.coverage
        if share < _MOSTLY or len({evidence.events[event].context for event in events}) < 3:
            continue
        count, places = evidence.background.count(term)
        if found.term[0] == "word":
            order = (term[1], found.term[1]) if term[0] == "after" else (found.term[1], term[1])
            count, places = evidence.background.count(("pair", *order))[0], evidence.background.count(found.term)[0]
        count, places = max(count, 1), max(places, count + 1)
        if share >= _LIFT * count / places and log_odds(share * n, n, count, places)[1] >= _MIN_Z:
            best = max(best or (0.0, "", ""), (share, term[0], term[1]))
    return best and (best[1], best[2])
