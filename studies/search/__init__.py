"""A search, step by step: stages, hand-off, retraining, the end."""
