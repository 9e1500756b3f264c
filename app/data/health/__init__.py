"""Whether the tree is whole."""
