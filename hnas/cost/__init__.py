"""What networks cost: multiply-accumulates, parameters, milliseconds."""
