"""A corpus as rows of contexts, stored like the samples of a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saefari.config.explanation import ActivationCorpus
from saefari.data.dataset import Dataset, open_dataset
from saefari.errors import ConflictError
from saefari.log import logger, progress_bar
from saefari.store import SamplesWriter, read_samples_record
from saefari.store.manifest import differences

if TYPE_CHECKING:
    from saefari.models.tokenizer import TextTokenizer, Tokens

_TEXTS_PER_BATCH = 512


def prepare_corpus(folder: Path, corpus: ActivationCorpus, tokenizer: TextTokenizer, overwrite: bool = False) -> None:
    """Write the contexts of a corpus to samples.parquet in `folder`, unless they are there.

    A context has `corpus.context_size` tokens, special tokens included; `packed` texts are separated by the tokens that
    end a text, without BOS in mid-context. Reading stops after `corpus.n_tokens` tokens. Memory does not grow with the
    corpus. tokenizer: with the rule for BOS that the SAEs need (`TextTokenizer.with_bos`).
    Raises ConflictError if the folder holds other contexts and `overwrite` is false, DataError if the corpus cannot be
    read or is empty.
    """
    dataset = open_dataset(corpus.dataset, corpus.split)
    settings = _settings(corpus, dataset, tokenizer)
    record = read_samples_record(folder)
    conflicts = differences(record["settings"], settings) if record else []
    if conflicts and not overwrite:
        lines = "\n".join(f"    {line}" for line in conflicts)
        raise ConflictError(
            f"{folder} holds contexts of another corpus or of other settings (stored -> wanted):\n{lines}\n"
            "  Remove the folder, or add --overwrite to replace it."
        )
    if record and not conflicts:
        return
    logger.info("%s: reading %s", folder, corpus.name)
    n_read = 0
    with (
        SamplesWriter(folder, settings) as writer,
        progress_bar(corpus.n_tokens, f"read {dataset.slug}", "tokens") as bar,
    ):
        for text, tokens in _contexts(corpus, dataset, tokenizer):
            writer.write(_row(writer.n_rows, text, tokens))
            n_read += tokens.length
            bar.update(tokens.length)
            if n_read >= corpus.n_tokens:
                break


def _settings(corpus: ActivationCorpus, dataset: Dataset, tokenizer: TextTokenizer) -> dict[str, Any]:
    """Return everything that shapes the contexts; `prepend_bos` only if it differs from the tokenizer's behaviour."""
    settings = {
        "dataset": dataset.slug,
        "fingerprint": dataset.fingerprint,
        "text_field": corpus.text_field,
        "context_size": min(corpus.context_size, tokenizer.limit),
        "packed": corpus.packed,
        "n_tokens": corpus.n_tokens,
        "tokenizer": tokenizer.digest,
    }
    return settings if tokenizer.bos_change is None else {**settings, "prepend_bos": tokenizer.bos_change}


def _contexts(corpus: ActivationCorpus, dataset: Dataset, tokenizer: TextTokenizer) -> Iterator[tuple[str, Tokens]]:
    """Yield text and tokens of each context with a valid position."""
    from saefari.models.packing import pack_with_text

    texts = (row.text for row in dataset.rows() if row.text)
    if corpus.packed:
        yield from pack_with_text(texts, tokenizer, corpus.context_size)
        return
    while chunk := list(islice(texts, _TEXTS_PER_BATCH)):
        found = zip(chunk, tokenizer.tokenize(chunk, corpus.context_size), strict=True)
        yield from ((text, tokens) for text, tokens in found if len(tokens.valid))


def _row(number: int, text: str, tokens: Tokens) -> dict[str, Any]:
    return {
        "row": number,
        "id": str(number),
        "text": text,
        "label": None,
        "group": None,
        "n_tokens": tokens.length,
        "input_ids": tokens.input_ids,
        "valid": tokens.valid,
        "span_start": tokens.spans[:, 0],
        "span_end": tokens.spans[:, 1],
    }
