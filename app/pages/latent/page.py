"""Page Latent: where one latent of one SAE fires, and which classifiers use it."""

from __future__ import annotations

from typing import Any

import dash
import dash_mantine_components as dmc
from dash import ClientsideFunction, Input, Output, State, callback, clientside_callback, dcc

from app.pages.latent.parts.explanation import explanation
from app.pages.latent.parts.sections import activity, association, deciles, neighbours, used_by
from app.pages.latent.parts.synthesised import synthesised
from app.shared.data.codes import CodeSet
from app.shared.data.defaults import default_latent, default_sae
from app.shared.data.latents.contexts import N_DECILES
from app.shared.data.latents.names import FeatureNames
from app.shared.data.saes import Sae
from app.shared.data.tree import tree
from app.shared.feature_name import FeatureName
from app.shared.labels import sae_title
from app.shared.parts.guard import render_or_error
from app.shared.parts.page import notice, page, placeholder, section
from app.shared.parts.sae_picker import chosen_codes, codes_select, sae_select
from app.shared.parts.state import hidden_inputs, options_of, state_id
from app.shared.permalinks import chosen, link, neuronpedia_link, parse_integer

dash.register_page(__name__, path="/latent", name="Latent")

_WORDS = ["latent", "SAE", "density", "dead", "decile", "patch", "lift", "weight", "importance", "explanation", "score"]
_WORDS += ["controls", "decoder cosine"]
_LINE = "One latent of one SAE: where it fires, in which classes, which classifiers use it, and its explanation."
DECILES = {"0": "one row per decile"} | {str(i): f"decile {i}" for i in range(N_DECILES, 0, -1)}
DECILES |= {"1": "decile 1 (weakest)", "10": "decile 10 (strongest)"}


def layout(
    sae: str | None = None, latent: str | None = None, codes: str | None = None, decile: str = "", **_: Any
) -> Any:
    """Build the page from URL parameters: ids of the SAE and of a code set, the latent's number, a key of DECILES."""
    index = tree().index()
    if not index.saes:
        return _page([notice("There are no SAEs yet. The page Runs explains how to create results.")])
    one = index.saes.get(sae) if isinstance(sae, str) else default_sae(index)
    if one is None:
        return _page([_picker(None, 0, None), notice("There is no SAE with this id; choose one above.")])
    number = default_latent(one, index) if latent is None else parse_integer(latent)
    shown = chosen_codes(one, codes)
    if number is None or (one.d_sae is not None and number >= one.d_sae):
        last = "" if one.d_sae is None else f": its latents are 0 to {one.d_sae - 1}"
        return _page([_picker(one, 0, shown), notice(f"{sae_title(one)} has no latent {latent}{last}.")])
    name = FeatureNames("latent", one, shown).of(number)
    beside = f"latent {number} · {name.score}" if name.explanation else ""
    children = [_picker(one, number, shown), *_parts(one, name, shown, decile)]
    return _page(children, name.title if name.explanation else f"Latent {number}", beside, name.is_doubtful)


def _page(children: Any, title: str = "Latent", beside: str = "", grey: bool = False) -> Any:
    return page(title, _LINE, _WORDS, children, beside, grey)


def _picker(sae: Sae | None, number: int, codes: CodeSet | None) -> Any:
    """The controls. All exist on every version of the page, since one callback listens to them."""
    last = None if sae is None or sae.d_sae is None else sae.d_sae - 1
    shown = {"sae": sae.id if sae else "", "latent": number, "codes": codes.id if codes else ""}
    controls = [
        sae_select("latent-sae", tree().index().saes.values(), sae),
        codes_select(sae, codes) if sae and codes else None,
        dmc.NumberInput(
            id="latent-number",
            label="Latent",
            value=number,
            min=0,
            max=last,
            allowDecimal=False,
            disabled=sae is None,
            w=120,
        ),
        dmc.Button("Show", id="latent-show", variant="default", disabled=sae is None),
        _neighbour_links(sae, number, codes) if sae else None,
        dcc.Store(id="latent-shown", data=shown),
    ]
    return dmc.Group([control for control in controls if control is not None], align="flex-end", gap="sm")


def _neighbour_links(sae: Sae, number: int, codes: CodeSet | None) -> Any:
    """Links to the previous, the next and all latents."""
    known = {"sae": sae.id, "codes": codes.id if codes else None}
    links = []
    if number > 0:
        links.append(dcc.Link("← previous", href=link("/latent", latent=number - 1, **known)))
    if sae.d_sae is None or number + 1 < sae.d_sae:
        links.append(dcc.Link("next →", href=link("/latent", latent=number + 1, **known)))
    links.append(dcc.Link("all latents", href=link("/latents", **known)))
    return dmc.Group(links, gap="md", pb=8)


def _parts(sae: Sae, name: FeatureName, codes: CodeSet | None, decile: str) -> list[Any]:
    no_codes = "The output tree has no codes of this SAE, so activations are not available."
    return [
        *hidden_inputs(sae=sae.id, latent=str(name.number)),
        explanation(name, _neuronpedia(sae, name.number)),
        *([placeholder("latent-activity"), _decile_section(decile)] if codes else [notice(no_codes)]),
        placeholder("latent-classes"),
        placeholder("latent-usage"),
        placeholder("latent-neighbours"),
    ]


def _decile_section(decile: str) -> Any:
    select = dmc.Select(
        id=state_id("decile"),
        label="Decile",
        data=options_of(DECILES),
        value=chosen(decile, list(DECILES), "0"),
        allowDeselect=False,
        w=220,
    )
    line = "Rows in which it fires, in ten equal groups by largest activation. The drawn rows are always the same."
    return section("Examples by activation decile", [select, placeholder("latent-deciles")], line)


def _neuronpedia(sae: Sae, latent: int) -> str:
    """URL of the latent on Neuronpedia; "" unless a manifest of the codes records the SAE's id there."""
    ids = (one.manifest.facts.get("neuronpedia") for one in sae.code_sets)
    return next(filter(None, (neuronpedia_link(sae_id, latent) for sae_id in ids)), "")


@callback(Output("latent-activity", "children"), Input(state_id("codes"), "value"), State("latent-shown", "data"))
def _activity(codes: str, shown: dict[str, Any]) -> Any:
    index, latent = tree().index(), shown["latent"]
    code_set, sae = index.code_sets.get(codes), index.saes.get(shown["sae"])
    if code_set is None:
        return notice("These codes are not in the output tree any more.")
    return render_or_error(lambda: activity(code_set, latent, sae and synthesised(sae, latent)), "The activity")


@callback(
    Output("latent-deciles", "children"),
    Input(state_id("codes"), "value"),
    Input(state_id("decile"), "value"),
    State("latent-shown", "data"),
)
def _deciles(codes: str, decile: str, shown: dict[str, Any]) -> Any:
    code_set = tree().index().code_sets.get(codes)
    return code_set and render_or_error(lambda: deciles(code_set, shown["latent"], int(decile)), "The rows")


@callback(Output("latent-classes", "children"), Input("latent-shown", "data"))
def _association(shown: dict[str, Any]) -> Any:
    sae = tree().index().saes.get(shown["sae"])
    return sae and render_or_error(lambda: association(sae, shown["latent"]), "The class association")


@callback(Output("latent-usage", "children"), Input("latent-shown", "data"))
def _usage(shown: dict[str, Any]) -> Any:
    index = tree().index()
    sae = index.saes.get(shown["sae"])
    return sae and render_or_error(lambda: used_by(sae, shown["latent"], index), "The table of probes and trees")


@callback(Output("latent-neighbours", "children"), Input("latent-shown", "data"))
def _neighbours(shown: dict[str, Any]) -> Any:
    index = tree().index()
    sae, codes = index.saes.get(shown["sae"]), index.code_sets.get(shown["codes"])
    return sae and render_or_error(lambda: neighbours(sae, shown["latent"], codes), "The table of nearest latents")


clientside_callback(
    ClientsideFunction("saefari", "openLatent"),
    Output("_pages_location", "href", allow_duplicate=True),
    Input("latent-show", "n_clicks"),
    Input("latent-number", "n_submit"),
    Input("latent-sae", "value"),
    State("latent-number", "value"),
    State("latent-shown", "data"),
    prevent_initial_call=True,
)
