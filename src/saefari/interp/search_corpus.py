"""Encode the corpus of `explain.corpus` with all SAEs of a model, for the caches of their latents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from saefari.interp.cache.build import CacheSource
from saefari.interp.job import ExplainedSae, ExplainJob

if TYPE_CHECKING:
    from saefari.models.forward import Model


def corpus_source(job: ExplainJob, sae: ExplainedSae, encoded: set[Path]) -> CacheSource:
    """Return the codes of an SAE on the corpus; encode it with all SAEs of the model if they are missing.

    encoded: folders of corpora that need no check; this one is added. Raises DataError if the corpus cannot be read,
    ConflictError if the folder holds another corpus.
    """
    from saefari.interp.cache.corpus import prepare_corpus
    from saefari.interp.cache.encode import CachedSae, EncodeJob, encode_rows
    from saefari.log import logger
    from saefari.models.model_types import load_model
    from saefari.models.tokenizer import TextTokenizer

    corpus = job.corpus
    assert corpus is not None
    saes = tuple(
        CachedSae(ref, random) for ref in corpus.saes for random in ((False, True) if job.control else (False,))
    )
    encode = EncodeJob(
        title=f"{corpus.folder.name} x {job.model.name}",
        model=job.model,
        samples=corpus.folder,
        saes=saes,
        max_tokens=job.max_tokens,
        outlier_norm=corpus.outlier_norm,
        seed=job.seed,
        overwrite=job.overwrite,
    )

    def load() -> Model:
        logger.info("loading %s", job.model.name)
        return load_model(job.model)

    if corpus.folder not in encoded:
        tokenizer = TextTokenizer.load(job.model.name, job.model.revision).with_bos(corpus.prepend_bos)
        prepare_corpus(corpus.folder, corpus.texts, tokenizer, job.overwrite)
        encode_rows(encode, load)
        encoded.add(corpus.folder)
    return CacheSource(corpus.folder.name, corpus.folder, encode.folder(CachedSae(sae.ref, sae.random)))
