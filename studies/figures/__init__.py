"""Figures: one style, one drawing of a network."""
