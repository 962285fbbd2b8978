"""Figures: one style, the glyphs and the drawing of a network, the plot of a ranking."""
