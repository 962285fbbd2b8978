"""Tests, in rooms named as those of the code; `tests.support` has their helpers."""
