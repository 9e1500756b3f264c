"""Build a latent cache from stored codes, without a forward pass."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from saefari.errors import ConflictError, DataError, SaeError, StoreError
from saefari.fingerprint import fingerprint
from saefari.interp.cache.latent_cache import LatentCache
from saefari.log import logger, progress_bar
from saefari.store import (
    CodesShard,
    Manifest,
    complete_manifest,
    iter_codes,
    read_samples,
    read_samples_record,
    read_split,
    read_split_record,
)
from saefari.store.latent_cache import (
    RECORD,
    SEGMENT_ACTIVATIONS,
    CachedRows,
    CacheRecord,
    segment_is_intact,
    write_segment,
)
from saefari.store.layout import SPLIT
from saefari.store.manifest import differences

_FORMAT = 1
"""Increase if the content of a segment changes."""


@dataclass(frozen=True)
class CacheSource:
    """Rows whose codes enter a cache.

    name: identifies it in contexts and in the cache's settings, for example "python-docs/train"; not a path of this
    machine. samples: folder with samples.parquet. codes: folder of an SAE's codes of these rows.
    """

    name: str
    samples: Path
    codes: Path


def build_cache(
    folder: Path,
    sources: Sequence[CacheSource],
    latents: Collection[int] | None = None,
    overwrite: bool = False,
    segment_activations: int = SEGMENT_ACTIVATIONS,
) -> LatentCache:
    """Build the cache of one SAE in `folder`, or complete what a stopped build left out. Returns the opened cache.

    Only training rows enter it, if the samples have a split. Sources are ordered by name. latents: those whose
    activations are kept, None = all; counts cover all latents either way. segment_activations: maximum activations of a
    segment, which bounds memory.
    Segments that are missing or do not match their hash are written again.
    Raises ConflictError if the folder holds a cache of other settings and `overwrite` is false, StoreError if samples
    or codes are missing or damaged, SaeError if the sources' codes are those of different SAEs, DataError if no row is
    left.
    """
    readers = [_SourceReader(source) for source in sorted(sources, key=lambda source: source.name)]
    d_sae = _check_sources(readers)
    kept = _check_latents(latents, d_sae)
    settings = {
        "format": _FORMAT,
        "segment_activations": segment_activations,
        "latents": None if kept is None else kept.tolist(),
        "sources": {reader.source.name: reader.settings for reader in readers},
    }
    record = _matching_record(folder, settings, d_sae, overwrite)
    intact = {segment.name: segment for segment in record.segments if segment_is_intact(folder, segment)}
    if record.segments:
        logger.info("%s: %d of %d finished segments are intact", folder, len(intact), len(record.segments))
    index = 0
    with progress_bar(sum(reader.n_rows for reader in readers), "collect activations", "rows") as bar:
        for reader in readers:
            start = 0
            while start < reader.n_rows:
                segment = intact.get(f"segment-{index:05d}.safetensors")
                if segment is None:
                    stop, rows = reader.take(start, segment_activations)
                    segment = write_segment(folder, index, reader.source.name, (start, stop), rows, kept)
                    record.add(segment)
                    record.save(folder)
                bar.update(segment.stop - start)
                start, index = segment.stop, index + 1
    if not record.complete:
        record.complete = True
        record.save(folder)
    return LatentCache.open(folder)


def _check_sources(readers: Sequence[_SourceReader]) -> int:
    """Return the number of latents of the sources' SAE."""
    names = [reader.source.name for reader in readers]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"the sources of a cache need distinct names: {names}")
    facts = [(reader.manifest.facts, reader.d_sae) for reader in readers]
    if len({(one.get("weights_sha256"), one.get("random", False), d_sae) for one, d_sae in facts}) > 1:
        raise SaeError(
            f"the codes of {', '.join(names)} come from different SAEs; a cache holds one SAE: extract them again with "
            "the same SAE"
        )
    if not any(reader.training.any() for reader in readers):
        raise DataError(f"{', '.join(names)}: no training row is left to collect contexts from")
    return readers[0].d_sae


def _check_latents(latents: Collection[int] | None, d_sae: int) -> np.ndarray | None:
    """Return the latents to keep, ascending."""
    if latents is None:
        return None
    kept = np.unique(np.asarray(list(latents), dtype=np.int64))
    if len(kept) and not (kept[0] >= 0 and kept[-1] < d_sae):
        wrong = kept[0] if kept[0] < 0 else kept[-1]
        raise SaeError(f"latent {wrong} does not exist: the SAE has latents 0 to {d_sae - 1}")
    return kept


def _matching_record(folder: Path, settings: dict[str, Any], d_sae: int, overwrite: bool) -> CacheRecord:
    """Return the folder's record, or a new one. With `overwrite`, remove a cache of other settings first."""
    record = CacheRecord.load(folder)
    if record is None:
        return CacheRecord(settings, d_sae)
    conflicts = differences(record.settings, settings)
    if not conflicts:
        return record
    if not overwrite:
        lines = "\n".join(f"    {line}" for line in conflicts)
        raise ConflictError(
            f"{folder} holds a latent cache of other settings (stored -> wanted):\n{lines}\n"
            "  Remove the folder, or add --overwrite to replace it."
        )
    logger.warning("%s: removed, it was made with other settings", folder)
    (folder / RECORD).unlink()
    for segment in record.segments:
        (folder / Path(segment.name).name).unlink(missing_ok=True)
    return CacheRecord(settings, d_sae)


class _SourceReader:
    """Rows of a source with their codes, read a segment at a time; one shard is in memory."""

    def __init__(self, source: CacheSource) -> None:
        self.source = source
        self.manifest: Manifest = complete_manifest(source.codes)
        self._samples = read_samples_record(source.samples)
        if self._samples is None:
            raise StoreError(f"{source.samples}: the samples are missing or damaged; run the extraction again")
        if self.manifest.settings.get("samples") != self._samples["sha256"]:
            raise StoreError(
                f"{source.codes}: the codes were made from other samples than those in {source.samples}: run the "
                "extraction again"
            )
        self.n_rows = self.manifest.n_rows
        self._rows = read_samples(source.samples, ["row", "label"])
        self._split = read_split_record(source.samples) if (source.samples / SPLIT).exists() else None
        self.training = np.ones(self.n_rows, dtype=bool) if self._split is None else read_split(source.samples) == 0
        self._shard: tuple[int, CodesShard] | None = None

    @cached_property
    def d_sae(self) -> int:
        """Number of latents."""
        return self._read(0).d_sae

    @property
    def settings(self) -> dict[str, Any]:
        """What identifies the rows and their codes."""
        assert self._samples is not None
        codes = {"settings": self.manifest.settings, "facts": self.manifest.facts}
        return {
            "samples": self._samples["sha256"],
            "split": None if self._split is None else self._split["sha256"],
            "codes": fingerprint(codes | {"shards": [shard.sha256 for shard in self.manifest.shards]}),
        }

    def take(self, start: int, most: int) -> tuple[int, CachedRows]:
        """Return (stop, training rows of stored rows [start, stop)): as many as have at most `most` activations.

        At least one row is taken.
        """
        parts: list[CachedRows] = []
        total, place, is_full = 0, start, False
        while place < self.n_rows and not is_full:
            shard = self._read(place)
            first = place - shard.start
            active = np.diff(shard.indptr[shard.offsets])[first:]
            active = np.where(self.training[place : place + len(active)], active, 0)
            cumulative = np.cumsum(active)
            n = int(np.searchsorted(cumulative, most - total, side="right"))
            n = 1 if place == start and n == 0 else n
            is_full = n < len(active)
            if n:
                parts.append(self._part(shard, first, first + n))
                total += int(cumulative[n - 1])
                place += n
        return place, _joined(parts)

    def _part(self, shard: CodesShard, first: int, last: int) -> CachedRows:
        """Return the training rows among rows [first, last) of a shard."""
        places = np.arange(shard.start + first, shard.start + last)
        training = self.training[places]
        offsets = shard.offsets[first : last + 1]
        codes, lengths = shard.to_csr()[offsets[0] : offsets[-1]], np.diff(offsets)
        if not training.all():
            codes, lengths, places = codes[np.repeat(training, lengths)], lengths[training], places[training]
        table = self._rows.take(places)
        return CachedRows(
            codes,
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            table["row"].to_numpy(),
            table["label"].to_pylist(),
        )

    def _read(self, place: int) -> CodesShard:
        """Return the shard that contains a stored row."""
        starts = [shard.start for shard in self.manifest.shards]
        number = int(np.searchsorted(starts, place, side="right")) - 1
        if self._shard is None or self._shard[0] != number:
            self._shard = None  # before the next one is read
            self._shard = number, next(iter_codes(self.source.codes, [number]))
        return self._shard[1]


def _joined(parts: Sequence[CachedRows]) -> CachedRows:
    """Concatenate rows."""
    if len(parts) == 1:
        return parts[0]
    ends = np.cumsum([part.offsets[-1] for part in parts])
    offsets = [part.offsets[1:] + end - part.offsets[-1] for part, end in zip(parts, ends, strict=True)]
    return CachedRows(
        sparse.vstack([part.codes for part in parts], format="csr"),
        np.concatenate([[0], *offsets]).astype(np.int64),
        np.concatenate([part.rows for part in parts]),
        [label for part in parts for label in part.labels],
    )
