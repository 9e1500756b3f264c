"""Latents: activations, contexts, and the classifiers that use them."""
