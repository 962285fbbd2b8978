"""What may be built: one architecture, the space of all, the layout of weights. No torch."""
