"""The SAEs of an extraction: loading, random controls, manifests and quality warnings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from saefari.errors import SaeError
from saefari.extract.job import Cell, ExtractJob
from saefari.extract.outputs import Output
from saefari.extract.shard_arrays import CodesArrays
from saefari.log import logger
from saefari.models.hooks import HookPoint
from saefari.saes.control import random_control
from saefari.saes.encode import encode, insert_outliers
from saefari.saes.identity import sae_settings
from saefari.saes.load import LoadedSae, check_width, load_sae
from saefari.saes.quality import Quality
from saefari.saes.ref import SaeRef
from saefari.store import codes_folder, iter_arrays, read_split_record

_MAX_SHORTFALL = 0.2  # a larger gap to the catalogue's explained variance is not due to the dataset
_MIN_EXPLAINED = 0.5  # an assumed hook point is doubtful below this explained variance
CALIBRATION_POSITIONS = 8192


def codes_output(job: ExtractJob, n_rows: int, cell: Cell, shared: dict[str, Any]) -> Output:
    """Return the output of a cell's codes, with the settings that shape them."""
    settings = {**shared, "hook": cell.ref.hook, "sae": sae_settings(cell.ref)}
    if cell.random:
        split = read_split_record(job.calibration)
        settings |= {"random_seed": job.seed, "calibrated_on": split["sha256"] if split else None}
    return Output("codes", codes_folder(job.samples, cell.ref.layer, cell.name), settings, n_rows)


class SaeBank:
    """The SAEs of a job, each loaded once."""

    def __init__(self, device: torch.device | str) -> None:
        self._device = device
        self._loaded: dict[SaeRef, LoadedSae] = {}

    def load(self, ref: SaeRef) -> LoadedSae:
        """Load an SAE, or return it if it is loaded."""
        if ref not in self._loaded:
            self._loaded[ref] = load_sae(ref, self._device)
        return self._loaded[ref]

    def hooks(self, cells: Sequence[Cell], d_model: int, model: str) -> dict[int, HookPoint]:
        """Return layer -> hook point of its SAEs; SAEs that the run trains need not exist yet.

        Raises SaeError if two SAEs of a layer have different hook points, or one does not fit the model.
        """
        hooks: dict[int, HookPoint] = {}
        trained = {cell.ref for cell in cells if cell.trained}
        for ref in refs_by_layer(cells):
            hook = HookPoint.parse(str(ref.hook)) if ref in trained else self._hook(ref, d_model, model)
            if hooks.setdefault(ref.layer, hook) != hook:
                raise SaeError(
                    f"layer {ref.layer}: {ref.title} reads {hook.name}, but another SAE of that layer reads "
                    f"{hooks[ref.layer].name}; use separate runs with different settings.base_save_dir"
                )
        return hooks

    def _hook(self, ref: SaeRef, d_model: int, model: str) -> HookPoint:
        """Return the hook point in an SAE's own metadata."""
        loaded = self.load(ref)
        if loaded.hook.site != "attn_z":  # as wide as all heads together, which may differ from d_model
            check_width(loaded, d_model, model)
        if ref.hook is not None and ref.hook != loaded.hook.name:
            logger.warning("%s: using hook point %s from its metadata", ref.title, loaded.hook.name)
        return loaded.hook


class CodesEncoder:
    """An encoder of hidden states for one cell's output."""

    def __init__(self, cell: Cell, output: Output, loaded: LoadedSae, limit: float | None = None) -> None:
        """limit: norm above which a position is an outlier and is not encoded."""
        self.cell = cell
        self.output = output
        self.hook = loaded.hook
        self._loaded = loaded
        page = None if cell.random else cell.ref.neuronpedia_id
        output.confirm({**loaded.fingerprint(), "random": cell.random, "neuronpedia": page, **limit_fact(limit)})

    def calibrate(self, sample: torch.Tensor, seed: int) -> None:
        """Replace the SAE by a random control as sparse on `sample` [n, d_in], training positions."""
        self._loaded = random_control(self._loaded, sample, seed)

    def needs(self, shard: int) -> bool:
        """Return whether the output lacks the shard."""
        return shard in self.output.decision.missing

    def encode(
        self, into: CodesArrays, rows: Any, counts: Any, hidden: torch.Tensor, outlier_mask: np.ndarray | None = None
    ) -> None:
        """Encode hidden, [n_positions, d_in], the rows' concatenated positions; outlier_mask: bool [n_positions]."""
        if hidden.shape[-1] != self._loaded.d_in:  # only heads' outputs, whose length is not checked earlier
            title = self.cell.ref.title
            raise SaeError(
                f"{title} takes vectors of {self._loaded.d_in} values, and {self.hook} has {hidden.shape[-1]}"
            )
        if outlier_mask is not None:
            hidden = hidden[torch.from_numpy(~outlier_mask).to(hidden.device)]
        codes = encode(self._loaded, hidden)
        quality = Quality.measure(self._loaded, hidden, codes)
        into.add(
            rows, counts, codes if outlier_mask is None else insert_outliers(codes, outlier_mask), quality, outlier_mask
        )


def limit_fact(limit: float | None) -> dict[str, float]:
    """Return the outlier limit as a manifest fact; empty without a limit."""
    return {} if limit is None else {"norm_limit": limit}


def finish_codes(output: Output, cell: Cell) -> None:
    """Merge the statistics of a complete output's shards, and warn of an SAE that does not fit.

    Reads only the shards, so that the next run completes what an interrupted one left out.
    """
    manifest = output.manifest
    if not manifest.complete or manifest.stats:
        return
    quality: Quality | None = None
    for _, arrays in iter_arrays(output.folder, "stat_"):
        part = Quality.from_arrays({name.removeprefix("stat_"): value for name, value in arrays.items()})
        quality = part if quality is None else quality.merge(part)
    assert quality is not None
    manifest.stats = quality.summary()
    manifest.warnings = [] if cell.random else quality_warnings(cell, manifest.stats)
    for warning in manifest.warnings:
        logger.warning("%s: %s", output.folder, warning)
    manifest.save(output.folder)


def quality_warnings(cell: Cell, stats: dict[str, Any]) -> list[str]:
    """Return warnings of a wrong hook point, a wrong model or too little training, from explained variance."""
    ref = cell.ref
    # Warnings are stored, and stored files hold no absolute path.
    title = ref.title if ref.path is None else f"the SAE {ref.width!r} of layer {ref.layer}"
    explained, expected = stats["explained_variance"], ref.expected_variance_explained
    if explained is None:
        return []
    cause = "this looks like the wrong hook point or the wrong model"
    if cell.trained:
        cause = "train it on more positions (n_positions)"
    if ref.hook_is_assumed:
        cause = (
            f"its metadata names no hook point, so {ref.hook} or the model may be wrong: "
            "check layers and settings.sae_location"
        )
    if explained < 0:
        return [f"{title} explains a negative share of the variance ({explained:.3f}): {cause}"]
    if ref.hook_is_assumed and explained < _MIN_EXPLAINED:
        return [f"{title} explains {explained:.3f} of the variance: {cause}"]
    if expected is not None and explained < expected - _MAX_SHORTFALL:
        return [f"{title} explains {explained:.3f} of the variance, but {expected:.3f} in the catalogue: {cause}"]
    return []


def refs_by_layer(cells: Sequence[Cell]) -> list[SaeRef]:
    """Return the distinct SAEs of cells, in layer order."""
    return sorted({cell.ref for cell in cells}, key=lambda ref: (ref.layer, ref.width))
