"""Scores of subnets with inherited weights."""
