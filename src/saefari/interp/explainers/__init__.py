"""Explainers: examples of a latent in, name and sentence out."""
