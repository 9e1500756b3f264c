"""Rows of a dataset, predictions for them and what they are based on."""
