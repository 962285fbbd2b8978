"""Training: the loop, and checkpoints that survive whatever happens between two instructions."""
