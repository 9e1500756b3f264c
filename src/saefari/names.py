"""Names shared by all packages: fixed folder names, the rule for derived folder names, and display terms."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b

HIDDEN = "hidden"
"""Folder of a layer's hidden states or of the classifiers that use them, beside the folders of the SAE widths."""
RANDOM = "-random"
"""Suffix, after the width, of the folder of an SAE's random control."""
BASELINES = "baselines"
"""Folder that replaces the model's where classifiers use no model."""

INTERVAL_METHOD = "bias-corrected delta method on the logit scale"
"""Method of the 95% interval of macro-F1, stored in results.json; see `saefari.classify.interval`."""

_MAX_LENGTH = 120


def folder_name(parts: Sequence[str], kind: str) -> str:
    """Return the last two parts joined by '--', reduced to letters, digits, '.', '_' and '-'.

    If characters were replaced or the name was cut, a short hash of the original keeps names distinct.
    kind: used when no valid character remains, as in `dataset-1f2e3d4c`.
    """
    joined = "--".join(parts[-2:])
    cleaned = re.sub(r"[^A-Za-z0-9._-]", "-", joined).lstrip(".-")[:_MAX_LENGTH]
    if cleaned == joined:
        return cleaned
    return f"{cleaned or kind}-{blake2b(joined.encode(), digest_size=4).hexdigest()}"


def character_term(run: str) -> str:
    """Return the display form of a character n-gram feature: `"ing␣"`, where ␣ is a word boundary."""
    return f'"{run.replace(" ", "␣")}"'
