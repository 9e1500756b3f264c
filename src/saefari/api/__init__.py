"""Public Python API, exported by `import saefari`; built on all other rooms."""
