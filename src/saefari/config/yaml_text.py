"""A YAML loader that rejects duplicate keys and bounds the size of merged mappings."""

from __future__ import annotations

from typing import Any

import yaml

from saefari.errors import shown

_MERGE = "tag:yaml.org,2002:merge"
YAML_ERRORS = (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""Exceptions of PyYAML: its own, and Python's for a malformed `!!int`, a 30 February or 1,000 nested brackets."""


class UniqueKeyLoader(yaml.SafeLoader):
    """YAML loader for hand-written files.

    It rejects duplicate keys, of which YAML would silently keep the last. Keys that merge keys (`<<`) repeat are kept
    once, so that nested merges do not grow exponentially.
    """

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Compose a mapping. Raises MarkedYAMLError at a duplicate key, except `<<`."""
        node = super().compose_mapping_node(anchor)
        seen: set[tuple[str, Any]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                if (key.tag, key.value) in seen:
                    raise yaml.MarkedYAMLError(
                        problem=f"the key {shown(key.value)} is given twice", problem_mark=key.start_mark
                    )
                seen.add((key.tag, key.value))
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Insert merged keys (`<<`); of a key that several mappings give, keep the one that takes effect."""
        super().flatten_mapping(node)
        last = {
            (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else id(key): (key, value)
            for key, value in node.value
        }
        node.value = list(last.values())
