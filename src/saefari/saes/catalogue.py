"""Search sae-lens' catalogue for the SAE of a model, layer and width, without network access.

Of several matching SAEs, the first by these criteria is chosen:
1. the hook point closest to the location (res: resid_post, resid_pre, resid_mid; att: the heads' outputs,
   then attention's output);
2. releases for general use before releases with many variants for study;
3. Gemma Scope's canonical SAEs, then SAEs with a Neuronpedia dashboard;
4. the average L0 nearest 100;
5. release and id in alphabetical order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

from saefari.errors import PATH_LENGTH, SaeError, nearest, shown
from saefari.saes.entries import Entry, catalogue, entries, model_key, width_names
from saefari.saes.ref import SaeRef

Location = Literal["res", "mlp", "att"]

_HOOKS: dict[str, tuple[str, ...]] = {
    "res": ("hook_resid_post", "hook_resid_pre", "hook_resid_mid"),
    "mlp": ("hook_mlp_out",),
    "att": ("attn.hook_z", "hook_attn_out"),
}
_PREFERRED_L0 = 100
_REMEDY = "give sae_path, sae_train, or the sae_release of a related model"


def find_sae(model: str, layer: int, width: str, location: Location, release: str | None = None) -> SaeRef:
    """Find the catalogue's SAE for block `layer` of `model` with the given width at `location`.

    width: '16k' and '65k' as the releases write them, '64k' in binary thousands, or the plain number.
    release: search only this release, regardless of its model.
    Raises SaeError for an unknown model or release (with the nearest name), or if there is none at this location,
    layer or width (with the available ones).
    """
    owner = shown(model, PATH_LENGTH) if release is None else f"release {release!r}"
    entries_here = _at(model, layer, location, release)
    matching = _require(
        [entry for entry in entries_here if entry.d_sae is not None and width.lower() in width_names(entry.d_sae)],
        f"{width!r}: no such {location!r} SAE in the catalogue for {owner} at layer {layer}; available widths",
        _widths(entries_here),
    )
    best = min(matching, key=lambda entry: _preference(entry, location))
    return SaeRef(
        layer=layer,
        width=width,
        release=best.release,
        sae_id=best.sae_id,
        hook=best.hook_name,
        expected_variance_explained=best.variance_explained,
        expected_l0=best.l0,
        neuronpedia_id=best.neuronpedia_id,
    )


def widths_at(model: str, layer: int, location: Location, release: str | None = None) -> list[str]:
    """List the catalogue's widths for a model, layer and location, ascending, as the releases write them.

    Raises SaeError as `find_sae` does.
    """
    return _widths(_at(model, layer, location, release))


def _at(model: str, layer: int, location: Location, release: str | None) -> list[Entry]:
    """Return every SAE of a layer and location. Raises SaeError with the available ones."""
    found = _of_model(model) if release is None else _of_release(release)
    owner = shown(model, PATH_LENGTH) if release is None else f"release {release!r}"
    at_location = _require(
        [entry for entry in found if entry.hook in _HOOKS[location]],
        f"the catalogue has no SAE at sae_location {location!r} for {owner}; available locations",
        (other for other, hooks in _HOOKS.items() if any(entry.hook in hooks for entry in found)),
    )
    return _require(
        [entry for entry in at_location if entry.layer == layer],
        f"layer {layer}: the catalogue has no {location!r} SAE of {owner} at this layer; available layers",
        (str(number) for number in sorted({entry.layer for entry in at_location})),
    )


def _widths(found: Iterable[Entry]) -> list[str]:
    ascending = sorted(found, key=lambda entry: entry.d_sae or math.inf)
    return list(dict.fromkeys(entry.width for entry in ascending))


def _of_model(model: str) -> list[Entry]:
    key = model_key(model)
    found = [entry for entry in entries() if entry.model == key]
    if not found:
        known = sorted({entry.model for entry in entries()})
        hint = nearest(model_key(model), known)
        raise SaeError(f"{shown(model, PATH_LENGTH)}: the catalogue has no SAE for this model{hint}; {_REMEDY}")
    return found


def _of_release(release: str) -> list[Entry]:
    found = [entry for entry in entries() if entry.release == release]
    # Older command lines give a model name here ("gemma-2b"), which selects all its releases.
    key = model_key(release)
    found = found or [entry for entry in entries() if entry.model == key]
    if not found and release in catalogue():
        raise SaeError(f"release {release!r} contains transcoders or similar, not SAEs of one hidden state")
    if not found:
        known = sorted({entry.release for entry in entries()})
        raise SaeError(f"{shown(release, PATH_LENGTH)}: the catalogue has no such release{nearest(release, known)}")
    return found


def _require(matching: list[Entry], message: str, available: Iterable[str]) -> list[Entry]:
    """Return `matching`. Raises SaeError with the available values if it is empty."""
    if not matching:
        raise SaeError(f"{message}: {', '.join(dict.fromkeys(available))}")
    return matching


def _preference(entry: Entry, location: Location) -> tuple[object, ...]:
    """Return a sort key, best first; see the module docstring."""
    return (
        _HOOKS[location].index(entry.hook),
        entry.is_study,
        not entry.sae_id.endswith("canonical"),
        entry.neuronpedia_id is None,
        math.inf if entry.l0 is None else abs(entry.l0 - _PREFERRED_L0),
        entry.release,
        entry.sae_id,
    )
