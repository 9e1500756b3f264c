"""The settings of one feature source: which matrices are built from it, and what each is called."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, Literal

from saefari.config import ClassificationParams

Source = Literal["sae", "random_sae", "hidden", "tfidf", "pixels", "majority"]


@dataclass(frozen=True)
class Setting:
    """One matrix. pooling: how positions became a row, 'count' for top-n counts, '' where there are no positions.

    top_n, binarize, select_k: as in conf.yaml's classification_params; None = not done.
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
    """Every setting once: (top-n, pooling) x binarize x select_k for SAEs, each pooling for hidden states, else one."""
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
