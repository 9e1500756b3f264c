"""Which SAE serves a model's layer at a width: a search in sae-lens' catalogue, without a network.

The choice among several is fixed, best first:
1. the hook point closest to the location (res: resid_post, resid_pre, resid_mid; att: the heads' outputs,
   then attention's output);
2. releases for use before releases that hold many variants for study;
3. Gemma Scope's canonical ones, then those with a Neuronpedia dashboard;
4. the average L0 nearest 100;
5. the names, in alphabetical order.
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
_USUAL_L0 = 100
_WAYS_OUT = "give sae_path, sae_train, or the sae_release of a related model"


def find_sae(model: str, layer: int, width: str, location: Location, release: str | None = None) -> SaeRef:
    """The catalogue's SAE for block `layer` of `model`, of the width called `width`, at `location`.

    width: '16k' and '65k' as the releases write them, '64k' in binary thousands, or the plain number.
    release: search this one only, whatever model it was trained on.
    Raises SaeError: unknown model or release (with the nearest name), or nothing at this location, layer or
    width (with what there is).
    """
    whose = shown(model, PATH_LENGTH) if release is None else f"release {release!r}"
    here = _at(model, layer, location, release)
    fitting = _narrow(
        [entry for entry in here if entry.d_sae is not None and width.lower() in width_names(entry.d_sae)],
        f"{width!r}: the catalogue has no {location!r} SAE of that width for {whose} at layer {layer}; its widths are",
        _widths(here),
    )
    best = min(fitting, key=lambda entry: _preference(entry, location))
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
    """Widths the catalogue has there, ascending, as the releases write them.

    Raises SaeError as `find_sae` does.
    """
    return _widths(_at(model, layer, location, release))


def _at(model: str, layer: int, location: Location, release: str | None) -> list[Entry]:
    """Every SAE at a place, or an error that says which places there are."""
    found = _of_model(model) if release is None else _of_release(release)
    whose = shown(model, PATH_LENGTH) if release is None else f"release {release!r}"
    there = _narrow(
        [entry for entry in found if entry.hook in _HOOKS[location]],
        f"the catalogue has no SAE at sae_location {location!r} for {whose}; there are some at",
        (place for place, hooks in _HOOKS.items() if any(entry.hook in hooks for entry in found)),
    )
    return _narrow(
        [entry for entry in there if entry.layer == layer],
        f"layer {layer}: the catalogue has no {location!r} SAE of {whose} there; its layers are",
        (str(number) for number in sorted({entry.layer for entry in there})),
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
        raise SaeError(f"{shown(model, PATH_LENGTH)}: the catalogue has no SAE for this model{hint}; {_WAYS_OUT}")
    return found


def _of_release(release: str) -> list[Entry]:
    found = [entry for entry in entries() if entry.release == release]
    # Older command lines name a model here ("gemma-2b"): that stands for all releases of its SAEs.
    key = model_key(release)
    found = found or [entry for entry in entries() if entry.model == key]
    if not found and release in catalogue():
        raise SaeError(f"release {release!r} holds transcoders or the like, not SAEs of one hidden state")
    if not found:
        known = sorted({entry.release for entry in entries()})
        raise SaeError(f"{shown(release, PATH_LENGTH)}: the catalogue has no such release{nearest(release, known)}")
    return found


def _narrow(fitting: list[Entry], complaint: str, there_is: Iterable[str]) -> list[Entry]:
    """`fitting`, or an error that lists what there is instead."""
    if not fitting:
        raise SaeError(f"{complaint}: {', '.join(dict.fromkeys(there_is))}")
    return fitting


def _preference(entry: Entry, location: Location) -> tuple[object, ...]:
    """Sorts the better SAE first; see the module's docstring."""
    return (
        _HOOKS[location].index(entry.hook),
        entry.is_study,
        not entry.sae_id.endswith("canonical"),
        entry.neuronpedia_id is None,
        math.inf if entry.l0 is None else abs(entry.l0 - _USUAL_L0),
        entry.release,
        entry.sae_id,
    )
