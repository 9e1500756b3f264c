"""The table of top images: one row per latent and image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from saefari.report.images.running_top_k import Peak
from saefari.report.images.top_images import find_top_images
from saefari.report.results.summary import Row, write_csv
from saefari.store import cell_box, read_sample_rows, read_samples, read_split

COLUMNS = (
    "latent", "chosen_for", "rank", "row", "image", "label", "part", "activation", "position", "patch",
    "x0", "y0", "x1", "y1",
)  # fmt: skip
_PARTS = ("train", "test", "excluded")


@dataclass(frozen=True)
class SplitRows:
    """The rows of a stored split: numbers in the dataset, int64 [n], and parts, int8 [n]."""

    folder: Path
    numbers: np.ndarray
    parts: np.ndarray

    @classmethod
    def read(cls, folder: Path) -> SplitRows:
        """Read a stored split. Raises StoreError if it was not prepared."""
        return cls(folder, read_samples(folder, ["row"])["row"].to_numpy(), read_split(folder))

    @property
    def training(self) -> np.ndarray:
        """bool [n]."""
        training: np.ndarray = self.parts == 0
        return training

    def part(self, place: int) -> str:
        return _PARTS[self.parts[place]]


def write_all_top_images(folder: Path, path: Path, k: int = 9) -> None:
    """Write the table of every latent of an SAE that is active in some image, as CSV. Raises StoreError.

    folder: of the SAE's codes, below the samples of a split with images.
    """
    split = SplitRows.read(folder.parents[1])
    top = find_top_images(folder, split.training, k)
    write_csv(path, COLUMNS, top_image_rows({latent: top.of(latent) for latent in range(top.d_sae)}, split, {}))


def top_image_rows(peaks: Mapping[int, Sequence[Peak]], split: SplitRows, why: Mapping[int, str]) -> list[Row]:
    """Return a row of COLUMNS per latent and image. why: latent -> reason for its choice.

    A position that is not a patch has patch -1 and no rectangle.
    """
    places = sorted({peak.place for found in peaks.values() for peak in found})
    samples = dict(zip(places, _samples(split, places), strict=True))
    return [
        {
            "latent": latent,
            "chosen_for": why.get(latent, ""),
            "rank": rank,
            **{name: samples[peak.place][name] for name in ("row", "image", "label")},
            "part": split.part(peak.place),
            "activation": f"{peak.activation:.6g}",
            "position": peak.position,
            "patch": peak.patch,
            **_rectangle(peak.patch, samples[peak.place]["grid"]),
        }
        for latent, found in peaks.items()
        for rank, peak in enumerate(found, start=1)
    ]


def _samples(split: SplitRows, places: Sequence[int]) -> list[Row]:
    if not places:
        return []
    columns = ["row", "image", "label", "grid"]
    found: list[Row] = read_sample_rows(split.folder, split.numbers[places].tolist(), columns).to_pylist()
    return found


def _rectangle(patch: int, grid: list[int]) -> Row:
    if patch < 0:
        return {}
    box = cell_box(patch, (grid[0], grid[1]))
    return {name: f"{edge:.6g}" for name, edge in zip(("x0", "y0", "x1", "y1"), box, strict=True)}
