"""Training: the loop, and checkpoints that survive a kill at any instruction."""
