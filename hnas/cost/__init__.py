"""Costs of networks: multiply-accumulates, parameters, milliseconds."""
