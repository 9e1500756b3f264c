"""Command line: flags, and one file per command."""
