"""Settings of one feature source: the feature matrices to build, and their folder names."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, Literal

from saefari.config import ClassificationParams

Source = Literal["sae", "random_sae", "hidden", "tfidf", "pixels", "majority"]


@dataclass(frozen=True)
class Setting:
    """One feature matrix. pooling: of positions, 'count' for top-n counts, '' for sources without positions.

    top_n, binarize, select_k: as in classification_params of conf.yaml; None = not applied.
    """

    pooling: str = ""
    top_n: int | None = None
    binarize: float | None = None
    select_k: int | None = None

    def folder(self, source: Source) -> str:
        """Name of this setting's folder, for example `sum_top0_bin-none` or `count_top20_bin-1.0_k100`."""
        if source not in ("sae", "random_sae"):
            return self.pooling or source
        threshold = "none" if self.binarize is None else f"{self.binarize:g}" + ".0" * float(self.binarize).is_integer()
        selected = "" if self.select_k is None else f"_k{self.select_k}"
        return f"{self.pooling}_top{self.top_n}_bin-{threshold}{selected}"

    def record(self) -> dict[str, Any]:
        """The fields as JSON."""
        return asdict(self)


def settings_of(source: Source, params: ClassificationParams) -> list[Setting]:
    """Return all settings without repeats: (top-n, pooling) x binarize x select_k for SAEs, poolings for hidden states.

    Other sources have a single setting.
    """
    if source == "hidden":
        return [Setting(how) for how in dict.fromkeys(params.hidden_pooling)]
    if source in ("tfidf", "pixels", "majority"):
        return [Setting()]
    pairs = list(product(params.top_n_values, params.binarize_values))
    if params.extra_top_n is not None:
        pairs.append((params.extra_top_n, params.extra_binarize_value))
    listed = [
        Setting(pooling, top_n, threshold, k)
        for top_n, threshold in pairs
        for pooling in (params.pooling if top_n == 0 else ["count"])
        for k in params.select_k
    ]
    return list(dict.fromkeys(listed))
