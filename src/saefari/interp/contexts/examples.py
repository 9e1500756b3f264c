"""Contexts of a latent: disjoint sets for explainers and scorers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from saefari.config.explanation import Sampling
from saefari.interp.cache.latent_cache import Activations, LatentCache
from saefari.interp.contexts.inactive import InactiveKind, Place, inactive_places
from saefari.interp.contexts.rows import TokenRow, TokenRows
from saefari.interp.contexts.sampling import deciles, equally, mixed, share_out
from saefari.interp.contexts.windows import windows_by_source
from saefari.interp.records import Context, ContextImage, LatentExamples


class ExampleSampler:
    """A sampler of the contexts of single latents.

    The examples of a latent depend on the cache, `sampling`, `seed` and the latent only, not on which latents were
    asked before. There is one context per row, around the row's strongest activation, and no row is in two sets. If
    fewer rows are active than wanted, the sets for explainers and scorers each get half of them, or more if the other
    needs less. Rows with an image are shown as a whole.
    """

    def __init__(
        self,
        cache: LatentCache,
        sampling: Sampling,
        seed: int,
        rows: Mapping[str, TokenRows],
        hard: InactiveKind | None = None,
    ) -> None:
        """rows: source of the cache -> its rows. hard: finds inactive contexts; None: random ones.

        Random contexts are also used where `hard` finds too few; see `saefari.interp.contexts.inactive_kinds`.
        Raises ValueError if a source has no rows.
        """
        missing = [source for source in cache.sources if source not in rows]
        if missing:
            raise ValueError(f"no rows are given for {', '.join(missing)}")
        self.cache = cache
        self._sampling = sampling
        self._seed = seed
        self._rows = [rows[source] for source in cache.sources]
        self._hard = hard
        self.windows = windows_by_source(cache, sampling, rows)

    def examples(self, latent: int) -> LatentExamples:
        """Return the contexts of a latent. Raises SaeError if the cache does not keep it, StoreError if unreadable."""
        activations = self.cache.of(latent)
        generator = np.random.default_rng([self._seed, latent])
        peaks = activations.value[activations.strongest]
        groups = deciles(peaks, generator)
        for_explainers, for_scorers = self._choose(peaks, groups, generator)
        explain, test = (
            [self._around(activations, int(which)) for which in activations.strongest[chosen]]
            for chosen in (for_explainers, for_scorers)
        )
        explain_inactive, inactive = self._inactive(latent, activations, explain, test, generator)
        sets = [explain, test, explain_inactive, inactive]
        images = self._images([place for places in sets for place in places])
        contexts = [tuple(self._context(activations, place, images) for place in places) for places in sets]
        return LatentExamples(
            latent=latent,
            explain=contexts[0],
            test=contexts[1],
            deciles=groups[for_scorers],
            inactive=contexts[3],
            explain_inactive=contexts[2],
            n_activations=len(activations),
            n_rows=len(activations.active_rows),
            density=len(activations) / max(self.cache.n_positions, 1),
            class_rows=self.cache.class_rows(activations),
        )

    def iter_rows(self) -> Iterator[TokenRow]:
        """Yield all rows of the cache as token texts, for frequencies in the whole data."""
        for number, rows in enumerate(self._rows):
            chosen = self.cache.rows.row[self.cache.rows.source == number]
            yield from rows.iterate(chosen.tolist())

    def _choose(
        self, peaks: np.ndarray, groups: np.ndarray, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return indices of the active rows for explainers and scorers, each by falling peak."""
        sampling = self._sampling
        n_explain, n_test = share_out(len(peaks), sampling.explain, sampling.test)
        test = equally(groups, n_test, generator)
        left = np.delete(np.arange(len(peaks)), test)
        shares: Mapping[str, float] = {str(name): share for name, share in sampling.explain_strategy.items()}
        explain = left[mixed(peaks[left], groups[left], n_explain, shares, generator)]
        return _by_falling(peaks, explain), _by_falling(peaks, test)

    def _inactive(
        self,
        latent: int,
        activations: Activations,
        explain: Sequence[Place],
        test: Sequence[Place],
        generator: np.random.Generator,
    ) -> tuple[list[Place], list[Place]]:
        """Return inactive windows for explainers and for scorers."""
        sampling, taken = self._sampling, {place.index for place in (*explain, *test)}
        hard = self._hard.candidates(latent, activations, test, generator) if self._hard is not None else []
        wanted = sampling.explain + sampling.inactive
        found = inactive_places(self.cache.rows, self.windows, activations, hard, taken, wanted, generator)
        shuffled = [found[i] for i in generator.permutation(len(found))]
        n_explain, n_test = share_out(len(found), sampling.explain, sampling.inactive)
        return shuffled[:n_explain], shuffled[n_explain : n_explain + n_test]

    def _around(self, activations: Activations, which: int) -> Place:
        index = int(activations.index[which])
        windows = self.windows[int(activations.source[which])]
        start, stop = windows.around(int(activations.position[which]), int(self.cache.rows.lengths[index]))
        return Place(index, start, stop)

    def _images(self, places: Sequence[Place]) -> dict[tuple[int, int], ContextImage]:
        """Return (source, row) -> image of the rows that have one."""
        found = {}
        for number, rows in enumerate(self._rows):
            chosen = [place.index for place in places if self.cache.rows.source[place.index] == number]
            images = rows.images([int(self.cache.rows.row[index]) for index in chosen])
            found.update({(number, row): image for row, image in images.items()})
        return found

    def _context(
        self, activations: Activations, place: Place, images: Mapping[tuple[int, int], ContextImage]
    ) -> Context:
        cached = self.cache.rows
        source, row = int(cached.source[place.index]), int(cached.row[place.index])
        label = int(cached.label[place.index])
        image = images.get((source, row))
        return Context(
            self.cache.sources[source],
            row,
            place.start,
            self._rows[source].tokens(row, place.start, place.stop),
            _values(activations, place),
            None if label < 0 else self.cache.classes[label],
            None if image is None else ContextImage(image.png, image.grid, image.patches[place.start : place.stop]),
        )


def _values(activations: Activations, place: Place) -> np.ndarray:
    """Return the activations in a window, float32 [n_positions]."""
    values = np.zeros(place.stop - place.start, dtype=np.float32)
    low, high = np.searchsorted(activations.index, [place.index, place.index + 1])
    position = activations.position[low:high]
    inside = (position >= place.start) & (position < place.stop)
    values[position[inside] - place.start] = activations.value[low:high][inside]
    return values


def _by_falling(peaks: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    order: np.ndarray = chosen[np.argsort(-peaks[chosen], kind="stable")]
    return order
