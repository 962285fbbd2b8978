"""Architectures: a single one, the space of all, the layout of their weights. No torch."""
