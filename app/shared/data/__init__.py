"""Data access that several pages share; read-only, through saefari.store."""
