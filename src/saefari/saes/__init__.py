"""Sparse autoencoders: which one, loading, encoding to sparse codes, and how well it reconstructs."""
