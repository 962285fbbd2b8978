"""A run as one page: what was found, how sure that is, what it cost and how to repeat it."""
