"""Training sparse autoencoders on a model's own activations."""
