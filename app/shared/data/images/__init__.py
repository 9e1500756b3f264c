"""Stored images and uploads."""
