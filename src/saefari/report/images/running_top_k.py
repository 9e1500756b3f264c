"""The strongest images of every latent, kept while activations stream past."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from saefari.store import CodesShard


@dataclass(frozen=True)
class Peak:
    """Where a latent is strongest in one image.

    place: which of the split's stored rows, from 0. position: counted from 0 among those that count. patch: its cell
    of the row's grid, -1 where it has no place in the image.
    """

    place: int
    position: int
    patch: int
    activation: float


@dataclass(frozen=True)
class Pictures:
    """What the samples say of some rows.

    there: bool [n_rows], whether a row has an image. digests: uint64 [n_rows], equal for rows of the same picture.
    patches: int32 [n_positions]. training: bool [n_rows].
    """

    there: np.ndarray
    digests: np.ndarray
    patches: np.ndarray
    training: np.ndarray


class TopImages:
    """What is kept of an SAE's latents: d_sae x k entries, however many images there are.

    Patches decide; only of a latent that is active in none of them, the positions that have no place in the image do:
    the class token, or a prompt's text.
    """

    def __init__(self, d_sae: int, k: int) -> None:
        """k: images of each latent."""
        self.d_sae = d_sae
        self._in_patches = _Tally(d_sae, k)
        self._elsewhere = _Tally(d_sae, k)
        self.n_images = 0
        """Rows with an image."""

    def add(self, codes: CodesShard, pictures: Pictures) -> None:
        """Take in some rows, which come after those before."""
        lengths = np.diff(codes.offsets)
        per_position = {
            "place": np.repeat(codes.start + np.arange(codes.n_rows), lengths),
            "position": np.arange(lengths.sum()) - np.repeat(codes.offsets[:-1], lengths),
            "picture": np.repeat(pictures.digests, lengths),
            "patch": pictures.patches,
        }
        training, in_image = np.repeat(pictures.training, lengths), np.repeat(pictures.there, lengths)
        for tally, of_kind in (
            (self._in_patches, pictures.patches >= 0),
            (self._elsewhere, pictures.patches < 0),
        ):
            tally.add(codes, per_position, in_image & of_kind, training)
        self.n_images += int(pictures.there.sum())

    def of(self, latent: int) -> list[Peak]:
        """The images in which a latent is strongest, strongest first; [] where it is active in none."""
        return self._in_patches.of(latent) or self._elsewhere.of(latent)

    @property
    def activity(self) -> np.ndarray:
        """float64 [d_sae]: mean activation over the patches of training rows; where there are none, their positions."""
        tally = self._in_patches if self._in_patches.n_training else self._elsewhere
        activity: np.ndarray = tally.sums / max(1, tally.n_training)
        return activity

    @property
    def n_silent(self) -> int:
        """How many latents are active in no image."""
        strongest = np.maximum(self._in_patches.peaks, self._elsewhere.peaks)
        return int(np.count_nonzero(strongest == 0))


class _Tally:
    """Of the positions of one kind: each latent's k strongest, of different pictures, and its activations' sum.

    Of equally strong ones the earlier row comes first, then the earlier position.
    """

    def __init__(self, d_sae: int, k: int) -> None:
        self._kept: dict[str, np.ndarray] = {
            "value": np.zeros((d_sae, k), dtype=np.float32),  # 0: nothing there, since what is active is above 0
            "picture": np.zeros((d_sae, k), dtype=np.uint64),
            "place": np.zeros((d_sae, k), dtype=np.int64),
            "position": np.zeros((d_sae, k), dtype=np.int32),
            "patch": np.zeros((d_sae, k), dtype=np.int32),
        }
        self.sums = np.zeros(d_sae)
        self.n_training = 0

    @property
    def peaks(self) -> np.ndarray:
        """float32 [d_sae]."""
        peaks: np.ndarray = self._kept["value"][:, 0]
        return peaks

    def of(self, latent: int) -> list[Peak]:
        columns = (self._kept[name][latent].tolist() for name in ("place", "position", "patch", "value"))
        return [Peak(*found) for found in zip(*columns, strict=True) if found[-1] > 0]

    def add(
        self, codes: CodesShard, per_position: dict[str, np.ndarray], counted: np.ndarray, training: np.ndarray
    ) -> None:
        """Take in the positions that are counted. per_position: an array [n_positions] per name that is kept."""
        active = np.diff(codes.indptr)
        own = np.repeat(counted & training, active)
        self.sums += np.bincount(codes.indices[own], codes.values[own], len(self.sums))
        self.n_training += int((counted & training).sum())
        # An equally strong one of a later row does not enter.
        enters = np.repeat(counted, active) & (codes.values > self._kept["value"][codes.indices, -1])
        if enters.any():
            of_position = np.repeat(np.arange(len(active)), active)[enters]
            found = {name: array[of_position] for name, array in per_position.items()}
            self._merge(codes.indices[enters], found | {"value": codes.values[enters]})

    def _merge(self, latents: np.ndarray, found: dict[str, np.ndarray]) -> None:
        """Put activations, latents int [n] and an array [n] per name, among those that are kept."""
        touched, new = np.unique(latents, return_inverse=True)
        there = self._kept["value"][touched] > 0
        latent = np.concatenate([np.nonzero(there)[0], new])
        both = {
            name: np.concatenate([kept[touched][there], found[name].astype(kept.dtype)])
            for name, kept in self._kept.items()
        }
        by_picture = np.lexsort((both["position"], both["place"], -both["value"], both["picture"], latent))
        kept_ones = by_picture[_begins(latent[by_picture], both["picture"][by_picture])]
        order = kept_ones[np.lexsort((both["place"][kept_ones], -both["value"][kept_ones], latent[kept_ones]))]
        rank = np.arange(len(order)) - np.searchsorted(latent[order], latent[order])
        fits = rank < self._kept["value"].shape[1]
        for name, kept in self._kept.items():
            kept[touched[latent[order[fits]]], rank[fits]] = both[name][order[fits]]


def _begins(*sorted_keys: np.ndarray) -> np.ndarray:
    """bool [n], n > 0: the first entry, and wherever one of the keys differs from the entry before."""
    changes = [key[1:] != key[:-1] for key in sorted_keys]
    return np.concatenate([[True], np.logical_or.reduce(changes)])
