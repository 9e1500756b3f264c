"""SAEfari: interpretable classifiers on sparse autoencoder (SAE) features.

Public names for Python users; they read the output tree of a run:

    tree = saefari.open_tree("output")
    tree.results()                           # DataFrame, one row per setting and classifier
    best = tree.best(source="sae")           # chosen by cross-validation, never by the test score
    best.top_latents(10)                     # DataFrame: class, latent, name, weight, score, explanation
    best.predict(["The text to classify."])  # DataFrame: predicted class and probabilities
    best.codes(rows=[0, 1])                  # sparse latent activations of every position
    best.plot("confusion")                   # matplotlib figure

Importing the package is cheap: each name is imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saefari.api.codes import Codes
    from saefari.api.result import Result
    from saefari.api.tree import Tree, open_tree
    from saefari.errors import SaefariError

__version__ = "0.1.0"
__all__ = ["Codes", "Result", "SaefariError", "Tree", "__version__", "open_tree"]

_MODULES = {
    "Codes": "saefari.api.codes",
    "Result": "saefari.api.result",
    "SaefariError": "saefari.errors",
    "Tree": "saefari.api.tree",
    "open_tree": "saefari.api.tree",
}
"""Public name -> module that defines it."""


if not TYPE_CHECKING:  # a type checker would accept every name

    def __getattr__(name: str) -> Any:
        """Import a public name on first use (PEP 562)."""
        if name not in _MODULES:
            raise AttributeError(f"module 'saefari' has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_MODULES[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
