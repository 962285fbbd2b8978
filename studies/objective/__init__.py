"""What a search maximises and minimises: costs, limits, fronts."""
