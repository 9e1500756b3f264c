"""The texts of a corpus as training rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from saefari.config import Corpus
from saefari.data.dataset import Dataset, open_dataset
from saefari.models.forward import TokenRow
from saefari.models.packing import pack
from saefari.models.tokenizer import TextTokenizer
from saefari.train.training_rows import MAX_HELD_OUT

HELD_OUT_EVERY = 20
"""One of this many contexts is held out, up to `MAX_HELD_OUT`."""
_TEXTS_PER_BATCH = 512


@dataclass(frozen=True)
class CorpusRows:
    """A corpus, streamed and tokenised in its own order; the shuffle buffer mixes nearby texts."""

    corpus: Corpus
    tokenizer: TextTokenizer

    def training(self, epoch: int) -> Iterator[TokenRow]:
        """Yield all contexts except those held out; every epoch is the same."""
        return (row for i, row in enumerate(self._contexts()) if not _is_held_out(i))

    def held_out(self) -> Iterator[TokenRow]:
        """Yield contexts that are never trained on."""
        first = islice(self._contexts(), HELD_OUT_EVERY * MAX_HELD_OUT)
        return (row for i, row in enumerate(first) if _is_held_out(i))

    @cached_property
    def dataset(self) -> Dataset:
        """The opened corpus; raises DataError if it cannot be read."""
        return open_dataset(self.corpus.dataset, self.corpus.split)

    def _contexts(self) -> Iterator[TokenRow]:
        texts = (row.text for row in self.dataset.rows() if row.text)
        if self.corpus.packed:
            yield from pack(texts, self.tokenizer, self.corpus.context_size)
        else:
            while chunk := list(islice(texts, _TEXTS_PER_BATCH)):
                yield from self.tokenizer.tokenize(chunk, self.corpus.context_size)


def _is_held_out(number: int) -> bool:
    return number % HELD_OUT_EVERY == 0 and number < HELD_OUT_EVERY * MAX_HELD_OUT
