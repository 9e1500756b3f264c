"""The SAEs of an extraction: loading them, their random controls, their manifests and what they are worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from saefari.errors import SaeError
from saefari.extract.job import Cell, ExtractJob
from saefari.extract.outputs import Output
from saefari.extract.shard_arrays import CodesArrays, spread
from saefari.log import logger
from saefari.models.hooks import HookPoint
from saefari.saes.control import random_control
from saefari.saes.encode import encode
from saefari.saes.identity import sae_settings
from saefari.saes.load import LoadedSae, check_width, load_sae
from saefari.saes.quality import Quality
from saefari.saes.ref import SaeRef
from saefari.store import codes_folder, iter_arrays, read_split_record

_FAR_BELOW = 0.2  # explained variance this much under the catalogue's is no matter of another dataset
_LITTLE = 0.5  # explained variance that makes an assumed hook point doubtful: an SAE in its place explains more
CALIBRATION_POSITIONS = 8192


def codes_output(job: ExtractJob, n_rows: int, cell: Cell, shared: dict[str, Any]) -> Output:
    """Where a cell's codes go, and the settings that shape them."""
    settings = {**shared, "hook": cell.ref.hook, "sae": sae_settings(cell.ref)}
    if cell.random:
        split = read_split_record(job.calibration)
        settings |= {"random_seed": job.seed, "calibrated_on": split["sha256"] if split else None}
    return Output("codes", codes_folder(job.samples, cell.ref.layer, cell.name), settings, n_rows)


class SaeBank:
    """The loaded SAEs of a job, each distinct one loaded once."""

    def __init__(self, device: torch.device | str) -> None:
        self._device = device
        self._loaded: dict[SaeRef, LoadedSae] = {}

    def load(self, ref: SaeRef) -> LoadedSae:
        """The SAE of a reference."""
        if ref not in self._loaded:
            self._loaded[ref] = load_sae(ref, self._device)
        return self._loaded[ref]

    def hooks(self, cells: Sequence[Cell], d_model: int, model: str) -> dict[int, HookPoint]:
        """layer -> the hook point that its SAEs read. One that the run trains itself need not be there yet.

        Raises SaeError when two SAEs of a layer read different places, or one does not fit the model.
        """
        hooks: dict[int, HookPoint] = {}
        trained = {cell.ref for cell in cells if cell.trained}
        for ref in refs_by_layer(cells):
            hook = HookPoint.parse(str(ref.hook)) if ref in trained else self._hook(ref, d_model, model)
            if hooks.setdefault(ref.layer, hook) != hook:
                raise SaeError(
                    f"layer {ref.layer}: {ref.title} reads {hook.name}, another SAE of that layer reads "
                    f"{hooks[ref.layer].name}; give them separate runs (settings.base_save_dir)"
                )
        return hooks

    def _hook(self, ref: SaeRef, d_model: int, model: str) -> HookPoint:
        """The hook point in an SAE's own metadata."""
        loaded = self.load(ref)
        if loaded.hook.site != "attn_z":  # as wide as all heads together, which may differ from d_model
            check_width(loaded, d_model, model)
        if ref.hook is not None and ref.hook != loaded.hook.name:
            logger.warning("%s: its own metadata names %s, which is used", ref.title, loaded.hook.name)
        return loaded.hook


class CodesEncoder:
    """Encodes hidden states into one cell's output."""

    def __init__(self, cell: Cell, output: Output, loaded: LoadedSae, limit: float | None = None) -> None:
        """limit: the norm above which a position is an outlier, which is not encoded."""
        self.cell = cell
        self.output = output
        self.hook = loaded.hook
        self._loaded = loaded
        page = None if cell.random else cell.ref.neuronpedia_id
        output.confirm({**loaded.fingerprint(), "random": cell.random, "neuronpedia": page, **limit_fact(limit)})

    def calibrate(self, sample: torch.Tensor, seed: int) -> None:
        """Turn a control's SAE into a random one that is as sparse on `sample` [n, d_in], training positions."""
        self._loaded = random_control(self._loaded, sample, seed)

    def wants(self, shard: int) -> bool:
        """This output lacks the shard."""
        return shard in self.output.decision.missing

    def encode(
        self, into: CodesArrays, rows: Any, counts: Any, hidden: torch.Tensor, above: np.ndarray | None = None
    ) -> None:
        """hidden: [n_positions, d_in], the rows' positions one after the other; above: bool, the outliers."""
        if hidden.shape[-1] != self._loaded.d_in:  # of heads' outputs, whose length nothing else tells
            title = self.cell.ref.title
            raise SaeError(
                f"{title} takes vectors of {self._loaded.d_in} values, and {self.hook} has {hidden.shape[-1]}"
            )
        if above is not None:
            hidden = hidden[torch.from_numpy(~above).to(hidden.device)]
        codes = encode(self._loaded, hidden)
        quality = Quality.measure(self._loaded, hidden, codes)
        into.add(rows, counts, codes if above is None else spread(codes, above), quality, above)


def limit_fact(limit: float | None) -> dict[str, float]:
    """The norm above which positions are outliers as a manifest's facts hold it; nothing where there is no limit."""
    return {} if limit is None else {"norm_limit": limit}


def finish_codes(output: Output, cell: Cell) -> None:
    """Once all shards are there: sum their statistics up, and warn of an SAE that does not fit.

    Needs the shards alone, so that a run that was killed before it got here is completed by the next one.
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
    """What the reconstruction says about a wrong hook point, a wrong model or too little training."""
    ref = cell.ref
    # Warnings are stored, and a stored file holds no path of this machine.
    title = ref.title if ref.path is None else f"the SAE {ref.width!r} of layer {ref.layer}"
    found, expected = stats["explained_variance"], ref.expected_variance_explained
    if found is None:
        return []
    suspicion = "this looks like the wrong hook point or the wrong model"
    if cell.trained:
        suspicion = "train it on more positions (n_positions)"
    if ref.hook_is_assumed:
        suspicion = f"its metadata names no hook point, and {ref.hook} looks like the wrong one, or this like the "
        suspicion += "wrong model: check layers and settings.sae_location"
    if found < 0:
        return [f"{title} explains less than nothing of the variance ({found:.3f}): {suspicion}"]
    if ref.hook_is_assumed and found < _LITTLE:
        return [f"{title} explains {found:.3f} of the variance: {suspicion}"]
    if expected is not None and found < expected - _FAR_BELOW:
        return [f"{title} explains {found:.3f} of the variance, its catalogue expects {expected:.3f}: {suspicion}"]
    return []


def refs_by_layer(cells: Sequence[Cell]) -> list[SaeRef]:
    """The distinct SAEs of some cells, in layer order."""
    return sorted({cell.ref for cell in cells}, key=lambda ref: (ref.layer, ref.width))
