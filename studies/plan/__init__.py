"""Plans: what to search, read from TOML, changed by options, proposed from images."""
