"""What a search minimises besides errors, and its limits."""
