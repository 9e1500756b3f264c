"""Prompts of the explainers that ask a language model."""
