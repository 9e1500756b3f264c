"""Training a vision model from scratch on the training rows of a dataset."""
