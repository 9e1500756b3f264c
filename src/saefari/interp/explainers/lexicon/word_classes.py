"""Closed classes of English words: prepositions, articles, number words …"""

from __future__ import annotations

_CLASSES = {
    "prepositions": "of in to for with on at from by about as into through after over between out against during "
    "without before under around among within along across behind beyond near off above below onto upon per via toward "
    "towards since until than inside outside",
    "articles": "the a an",
    "demonstratives": "this that these those",
    "conjunctions": "and or but if because while when whereas although though unless nor whether so since until as",
    "question words": "who whom whose what which when where why how",
    "pronouns": "i you he she it we they me him her us them my your his its our their mine yours ours theirs myself "
    "yourself himself herself itself ourselves themselves one",
    "forms of to be": "be is are was were been being am isn't aren't wasn't weren't",
    "forms of to have": "have has had having hasn't haven't hadn't",
    "forms of to do": "do does did doing done doesn't don't didn't",
    "modal verbs": "can could may might must shall should will would cannot can't couldn't won't wouldn't shouldn't",
    "negations": "not no never none nothing neither nor cannot without isn't aren't doesn't don't didn't can't won't",
    "number words": "zero one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty "
    "hundred thousand million billion half",
    "ordinal words": "first second third fourth fifth sixth seventh eighth ninth tenth last next",
    "quantity words": "all any each every both either neither some several many much few more most less least other "
    "another such enough multiple single only",
    "comparatives": "more less better worse larger smaller greater fewer higher lower longer shorter faster slower "
    "older newer earlier later",
    "colours": "red green blue yellow black white grey gray orange purple pink brown cyan magenta",
    "months": "january february march april june july august september october november december jan feb mar apr jun "
    "jul aug sep sept oct nov dec",
    "weekdays": "monday tuesday wednesday thursday friday saturday sunday mon tue wed thu fri sat sun",
    "units of time": "second seconds minute minutes hour hours day days week weeks month months year years millisecond "
    "milliseconds microsecond microseconds nanosecond nanoseconds",
    "directions": "left right top bottom up down upper lower north south east west above below horizontal vertical "
    "horizontally vertically",
}
_AUXILIARIES = ("forms of to be", "forms of to have", "forms of to do", "modal verbs")
_CLASSES["auxiliary verbs"] = " ".join(_CLASSES[name] for name in _AUXILIARIES)

WORD_CLASSES: dict[str, tuple[str, ...]] = {}
"""Word in lower case -> its classes."""
for _name, _words in _CLASSES.items():
    for _word in _words.split():
        WORD_CLASSES[_word] = (*WORD_CLASSES.get(_word, ()), _name)
