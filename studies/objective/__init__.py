"""Costs that a search minimises besides errors, and their limits."""
