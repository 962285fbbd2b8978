"""Experiments about searches: ranking, comparison, reproduction."""
