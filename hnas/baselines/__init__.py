"""Simple models on the same images: what a search has to beat."""
