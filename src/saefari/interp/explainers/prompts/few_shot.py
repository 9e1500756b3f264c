"""Worked examples of the explanation prompt: passages as (text before, active token, activation, text after)."""

from __future__ import annotations

from dataclasses import dataclass

Passage = tuple[str, str, int, str]


@dataclass(frozen=True)
class WorkedExample:
    """Passages of a latent, with a good answer."""

    active: tuple[Passage, ...]
    inactive: tuple[str, ...]
    promoted: tuple[str, ...]
    thought: str
    name: str
    explanation: str


WORKED_EXAMPLES = (
    WorkedExample(
        active=(
            ("The ferry leaves at half past", " seven", 9, " and takes an hour."),
            ("We waited until quarter to", " nine", 10, " before the doors opened."),
            ("Breakfast is served from", " six", 6, " in the morning."),
            ("She had twelve cats and", " two", 1, " dogs."),
        ),
        inactive=("Three boats lay in the harbour.", "The meeting was long and dull."),
        promoted=(" o", " sharp", " thirty"),
        thought="The strongest tokens are number words that give a time of day; a number word that counts animals is "
        "hardly active.",
        name="number words as clock times",
        explanation="Number words that give a time of day, mostly the hour.",
    ),
    WorkedExample(
        active=(
            ("Please", " restart", 8, " the server after the update."),
            ("They had to re", "build", 5, " the old bridge."),
            ("The museum will be", " reopened", 10, " in spring."),
            ("He promised to", " rewrite", 9, " the second chapter."),
        ),
        inactive=("Please remember the red umbrella.", "The bridge is old."),
        promoted=(" again", " anew"),
        thought="All marked tokens are verbs with the prefix re-, in the sense of doing something again; words that "
        "merely begin with re- are inactive.",
        name="re- verbs: doing again",
        explanation="Verbs with the prefix re- that say that something is done again, such as restart or rewrite.",
    ),
)
