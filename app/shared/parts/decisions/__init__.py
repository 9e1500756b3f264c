"""Explanations of a prediction: contributions to the logit, or the path through a tree."""
