"""SAEfari: classifiers that explain themselves, from sparse autoencoder features."""

__version__ = "0.1.0"
