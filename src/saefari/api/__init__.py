"""The front for Python users: what `import saefari` offers, on top of all other rooms."""
