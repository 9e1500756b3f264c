"""Stored and uploaded images."""
