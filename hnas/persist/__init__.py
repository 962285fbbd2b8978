"""Files and records: whole or absent, written and read back, compared in words."""
