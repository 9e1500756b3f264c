"""Reading YAML that people write, without being misled or overwhelmed by it."""

from __future__ import annotations

from typing import Any

import yaml

from saefari.errors import shown

_MERGE = "tag:yaml.org,2002:merge"
UNREADABLE = (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What PyYAML raises: its own errors, and Python's at a malformed `!!int`, a 30 February, brackets 1,000 deep."""


class UniqueKeyLoader(yaml.SafeLoader):
    """YAML loader for files that people write.

    It refuses a key that a mapping holds twice, of which YAML would silently keep the last. What merge keys repeat is
    kept once, so that merges of merges do not grow exponentially.
    """

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """The mapping as YAML reads it. Raises MarkedYAMLError at a key that comes again; `<<` may."""
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
        """Put merged keys (`<<`) in place; of a key that several mappings give, the one that counts is kept."""
        super().flatten_mapping(node)
        last = {
            (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else id(key): (key, value)
            for key, value in node.value
        }
        node.value = list(last.values())
