"""Requests: what is asked of a search, the plan and folder that it comes to, and the run."""
