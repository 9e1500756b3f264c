"""Streaming top-k: the k images with the largest activation of every latent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from saefari.store import CodesShard


@dataclass(frozen=True)
class Peak:
    """The position of a latent's largest activation in one image.

    place: index of the stored row in the split. position: index among the row's valid positions. patch: its cell of
    the row's grid, -1 for a position that is not a patch.
    """

    place: int
    position: int
    patch: int
    activation: float


@dataclass(frozen=True)
class ImageRows:
    """Image data of some sample rows.

    has_image: bool [n_rows]. digests: uint64 [n_rows], equal for rows with the same image.
    patches: int32 [n_positions]. training: bool [n_rows].
    """

    has_image: np.ndarray
    digests: np.ndarray
    patches: np.ndarray
    training: np.ndarray


class TopImages:
    """The top images of an SAE's latents: d_sae x k entries, whatever the number of images.

    Patches are ranked. Other positions (class token, prompt text) are used only for latents active in no patch.
    """

    def __init__(self, d_sae: int, k: int) -> None:
        """k: images of each latent."""
        self.d_sae = d_sae
        self._in_patches = _TopPositions(d_sae, k)
        self._elsewhere = _TopPositions(d_sae, k)
        self.n_images = 0
        """Rows with an image."""

    def add(self, codes: CodesShard, image_rows: ImageRows) -> None:
        """Add some rows; they must follow those added before."""
        lengths = np.diff(codes.offsets)
        per_position = {
            "place": np.repeat(codes.start + np.arange(codes.n_rows), lengths),
            "position": np.arange(lengths.sum()) - np.repeat(codes.offsets[:-1], lengths),
            "picture": np.repeat(image_rows.digests, lengths),
            "patch": image_rows.patches,
        }
        training, in_image = np.repeat(image_rows.training, lengths), np.repeat(image_rows.has_image, lengths)
        for top_positions, of_kind in (
            (self._in_patches, image_rows.patches >= 0),
            (self._elsewhere, image_rows.patches < 0),
        ):
            top_positions.add(codes, per_position, in_image & of_kind, training)
        self.n_images += int(image_rows.has_image.sum())

    def of(self, latent: int) -> list[Peak]:
        """Return a latent's top images, largest activation first; [] if it is active in none."""
        return self._in_patches.of(latent) or self._elsewhere.of(latent)

    @property
    def activity(self) -> np.ndarray:
        """float64 [d_sae]: mean activation over the patches of training rows; without patches, over other positions."""
        top_positions = self._in_patches if self._in_patches.n_training else self._elsewhere
        activity: np.ndarray = top_positions.sums / max(1, top_positions.n_training)
        return activity

    @property
    def n_silent(self) -> int:
        """Number of latents that are active in no image."""
        strongest = np.maximum(self._in_patches.peaks, self._elsewhere.peaks)
        return int(np.count_nonzero(strongest == 0))


class _TopPositions:
    """For one kind of positions: each latent's k largest activations in different images, and their sum.

    Of equal activations the earlier row comes first, then the earlier position.
    """

    def __init__(self, d_sae: int, k: int) -> None:
        self._kept: dict[str, np.ndarray] = {
            "value": np.zeros((d_sae, k), dtype=np.float32),  # 0 = empty; activations are above 0
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
        """Add the counted positions. per_position: an array [n_positions] per stored name."""
        active = np.diff(codes.indptr)
        in_training = np.repeat(counted & training, active)
        self.sums += np.bincount(codes.indices[in_training], codes.values[in_training], len(self.sums))
        self.n_training += int((counted & training).sum())
        # Of equal activations the later row does not enter.
        enters = np.repeat(counted, active) & (codes.values > self._kept["value"][codes.indices, -1])
        if enters.any():
            of_position = np.repeat(np.arange(len(active)), active)[enters]
            found = {name: array[of_position] for name, array in per_position.items()}
            self._merge(codes.indices[enters], found | {"value": codes.values[enters]})

    def _merge(self, latents: np.ndarray, found: dict[str, np.ndarray]) -> None:
        """Merge activations into the stored ones. latents: int [n]. found: an array [n] per name."""
        touched, new = np.unique(latents, return_inverse=True)
        occupied = self._kept["value"][touched] > 0
        latent = np.concatenate([np.nonzero(occupied)[0], new])
        both = {
            name: np.concatenate([kept[touched][occupied], found[name].astype(kept.dtype)])
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
    """Return bool [n], n > 0: True for the first entry and wherever a key differs from the entry before."""
    changes = [key[1:] != key[:-1] for key in sorted_keys]
    return np.concatenate([[True], np.logical_or.reduce(changes)])
