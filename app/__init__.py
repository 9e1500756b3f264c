"""Dashboard: reads the output tree through `saefari.store` and shows it."""
