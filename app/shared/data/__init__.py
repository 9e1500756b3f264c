"""Read-only data access through `saefari.store`, shared by several pages."""
