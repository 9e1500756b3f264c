"""Names of folders in the output tree: those that are fixed, and the rule by which everything else gets one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b

HIDDEN = "hidden"
"""Beside the folders of the SAEs' widths: a layer's hidden states, or the classifiers that read them."""
RANDOM = "-random"
"""What the folder of an SAE's random control has after the width."""
BASELINES = "baselines"
"""Stands for the model where classifiers read none."""

INTERVAL_METHOD = "bias-corrected delta method on the logit scale"
"""Of the 95% interval of macro-F1, as results.json, tables and pages name it; see `saefari.classify.interval`."""

_LONGEST = 120


def folder_name(parts: Sequence[str], kind: str) -> str:
    """A folder name made only of letters, digits, '.', '_' and '-': the last two parts, joined by '--'.

    Where characters had to be replaced or the name cut, a short hash of the original keeps different names apart.
    kind: stands for a name of which nothing is left, as in `dataset-1f2e3d4c`.
    """
    joined = "--".join(parts[-2:])
    cleaned = re.sub(r"[^A-Za-z0-9._-]", "-", joined).lstrip(".-")[:_LONGEST]
    if cleaned == joined:
        return cleaned
    return f"{cleaned or kind}-{blake2b(joined.encode(), digest_size=4).hexdigest()}"


def character_term(run: str) -> str:
    """How a run of characters is written where it is a feature: `"ing␣"`; ␣ is the blank before or after a word."""
    return f'"{run.replace(" ", "␣")}"'
