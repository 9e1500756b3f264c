"""Sparse autoencoders: catalogue, loading, sparse encoding, reconstruction quality."""
