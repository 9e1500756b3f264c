"""Versions of the software that wrote a file."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

_LIBRARIES = ("torch", "transformers", "sae-lens", "datasets", "numpy", "scipy", "scikit-learn", "pandas", "pyarrow")


def library_versions(*names: str) -> dict[str, str]:
    """Return installed versions of the given distributions; default: Python and all libraries that affect results."""
    versions = {} if names else {"python": platform.python_version()}
    for name in names or _LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "absent"
    return versions
