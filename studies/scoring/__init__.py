"""Backends that score a generation: this process, or workers through a queue."""
