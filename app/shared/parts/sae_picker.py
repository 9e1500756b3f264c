"""Choosing an SAE, and which of its dataset splits to look at."""

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
    """Every SAE by its title. identity: the control's id, which the page listens to."""
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
    """The dataset splits that the SAE has codes for; the URL remembers which as `codes`."""
    return dmc.Select(
        id=state_id("codes"),
        label="Dataset split",
        data=options_of({one.id: one.dataset for one in sae.code_sets}),
        value=shown.id,
        allowDeselect=False,
        w={"base": "100%", "sm": 300},
    )


def chosen_codes(sae: Sae, asked: str | None) -> CodeSet | None:
    """The code set of that id where it is one of the SAE's, else its default; None where it has none."""
    by_id = {one.id: one for one in sae.code_sets}
    default = default_codes(sae)
    return by_id[chosen(asked, list(by_id), default.id)] if default else None
