"""Drop-downs of SAEs and of their dataset splits."""

from __future__ import annotations

from collections.abc import Iterable

import dash_mantine_components as dmc

from app.shared.data.codes import CodeSet
from app.shared.data.latents.summary import default_codes
from app.shared.data.saes import Sae
from app.shared.labels import sae_title
from app.shared.parts.state import options_of, state_id
from app.shared.permalinks import chosen


def sae_select(identity: str | dict[str, str], saes: Iterable[Sae], shown: Sae | None) -> dmc.Select:
    """Drop-down of all SAEs. identity: the control's id."""
    return dmc.Select(
        id=identity,
        label="SAE",
        data=options_of({one.id: sae_title(one) for one in saes}),
        value=shown.id if shown else None,
        placeholder="choose one",
        searchable=True,
        allowDeselect=False,
        w={"base": "100%", "sm": 460},
    )


def codes_select(sae: Sae, shown: CodeSet) -> dmc.Select:
    """Drop-down of the dataset splits that an SAE has codes for; URL parameter `codes`."""
    return dmc.Select(
        id=state_id("codes"),
        label="Dataset split",
        data=options_of({one.id: one.dataset for one in sae.code_sets}),
        value=shown.id,
        allowDeselect=False,
        w={"base": "100%", "sm": 300},
    )


def chosen_codes(sae: Sae, codes_id: str | None) -> CodeSet | None:
    """The SAE's code set with this id, else its default one; None if it has none."""
    by_id = {one.id: one for one in sae.code_sets}
    default = default_codes(sae)
    return by_id[chosen(codes_id, list(by_id), default.id)] if default else None
