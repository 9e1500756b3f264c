"""Models: loading, tokenisation and preprocessing, hooks, forward passes."""
