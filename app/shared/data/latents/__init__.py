"""What is known about latents: activations, contexts, use by classifiers."""
