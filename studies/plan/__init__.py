"""Plans of a search: read from TOML, changed by options, proposed from images."""
