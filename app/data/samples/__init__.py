"""Test rows of a result with their texts and images, for Samples and Try it."""
