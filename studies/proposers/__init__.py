"""Proposers of generations, one file each: pure functions of what was scored."""
