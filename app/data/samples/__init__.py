"""Test rows of a result and their texts, for Samples and Try it."""
